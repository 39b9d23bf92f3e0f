using System;
using System.Collections.Generic;
using System.Threading;

namespace Diegetic.Tests
{
    /// <summary>The scenario that every client plays: conformance.exe tcp://127.0.0.1:40123</summary>
    internal sealed class Conformance
    {
        private const int TickMs = 10;
        private const double Patience = 20;
        private const int Events = 1001;
        private const int Rate = 48000;
        private const int PieceFrames = 512;
        private const int TickFrames = Rate * TickMs / 1000;

        private readonly Client _client;
        private readonly float[] _sound = new float[2 * TickFrames];
        private readonly HashSet<long> _acked = new HashSet<long>();
        private bool _isWelcome;
        private int _heard;

        private Conformance(Client client)
        {
            _client = client;
        }

        private static int Main(string[] arguments)
        {
            ClientOptions options = new ClientOptions
            {
                Endpoint = arguments[0],
                Parameters = { new ParameterSpec("threat") },
                Switches = { new SwitchSpec("surface", "grass", "stone") },
                Events = { "shot", new EventSpec("footstep", "footstep on {surface}", variations: 2) },
                Buses = { new BusSpec("voices", "events") },
                Snapshots = { new SnapshotSpec("pause", new Dictionary<string, double> { { "beds", -12 } }) },
                Pcm = new PcmSpec(Rate, PieceFrames),
                Log = Console.Error.WriteLine,
            };
            using (Client client = new Client(options))
            {
                try
                {
                    new Conformance(client).Play();
                    return 0;
                }
                catch (TimeoutException error)
                {
                    Console.Error.WriteLine(error.Message);
                    return 1;
                }
            }
        }

        private void Play()
        {
            Wait("a welcome", () => _isWelcome);
            _client.SetPrompt("rain on a tin roof", guidance: 3);
            _client.SetLayers("ambience");
            for (int k = 1; k <= 100; k++)
            {
                _client.SetParameter("threat", k / 100.0);
                _client.PushFrame(Picture(k), 8, 8);
                for (int j = 0; j < 10; j++)
                    Shoot(k, j);
                Tick();
            }
            _client.SetSwitch("surface", "stone");
            _client.PostEvent("footstep");
            _client.SetBus("voices", gainDb: -6, fade: 0.5);
            _client.PushSnapshot("pause", 0.1);
            _client.PopSnapshot("pause");
            _client.SetLoudness(-18);
            _client.SetListener(new Vec3(1, 2, 3));
            _client.SetPrompt(new Dictionary<string, double> { { "rain", 3 }, { "wind", 1 } }, ramp: 2);
            Wait("all events to arrive", () => _acked.Count == Events);
            Wait("the bank", () => _client.Stats.BankReady);
            Wait("20 pieces of sound", () => _heard > 20 * PieceFrames);
            ClientStats stats = _client.Stats;
            Console.WriteLine(
                "{{\"acked\": {0}, \"given_up\": {1}, \"reconnects\": {2}, \"pcm_nonzero\": {3}}}",
                stats.EventsAcked, stats.EventsGivenUp, stats.Reconnects, _heard > 0 ? "true" : "false");
        }

        private void Shoot(int k, int j)
        {
            if (j % 2 == 1)
                _client.PostEvent("shot", gainDb: -(k % 20));
            else
                _client.PostEvent(
                    "shot", gainDb: -(k % 20), position: new Vec3(k, 0, -j), occlusion: 0.25);
        }

        private void Tick()
        {
            for (Reply reply = _client.Poll(); reply != null; reply = _client.Poll())
            {
                Ack ack = reply as Ack;
                if (ack != null)
                    _acked.UnionWith(ack.Events);
                _isWelcome |= reply is Welcome;
            }
            _client.ReadPcm(_sound, TickFrames);
            for (int i = 0; i < TickFrames; i++)
                _heard += _sound[2 * i] != 0 || _sound[2 * i + 1] != 0 ? 1 : 0;
            Thread.Sleep(TickMs);
        }

        private void Wait(string what, Func<bool> condition)
        {
            double deadline = Client.Now + Patience;
            while (!condition())
            {
                if (Client.Now > deadline)
                    throw new TimeoutException("waited in vain for " + what);
                Tick();
            }
        }

        private static byte[] Picture(int k)
        {
            byte[] pixels = new byte[8 * 8 * 3];
            for (int i = 0; i < pixels.Length; i++)
                pixels[i] = (byte)k;
            return pixels;
        }
    }
}
