using System;
using System.Diagnostics;
using System.Globalization;
using System.Threading;

namespace Diegetic.Tests
{
    /// <summary>
    /// What the client costs the game's thread at 60 Hz, each tick a frame of 128 x 72, 5 parameters
    /// 2 events and a poll: cost.exe ENDPOINT SECONDS. Prints one line of JSON.
    /// </summary>
    internal static class Cost
    {
        private const double Rate = 60;
        private const int WarmUp = 30;
        private const int WelcomeMs = 20000;

        private static readonly string[] Names = { "health", "threat", "speed", "height", "light" };

        private static int Main(string[] arguments)
        {
            int ticks = (int)(Rate * double.Parse(arguments[1], CultureInfo.InvariantCulture));
            ClientOptions options = new ClientOptions
            {
                Endpoint = arguments[0],
                Events = { "shot", "footstep" },
                Log = Console.Error.WriteLine,
            };
            foreach (string name in Names)
                options.Parameters.Add(new ParameterSpec(name));
            double[] costs = new double[ticks];
            long allocated = 0;
            using (Client client = new Client(options))
            {
                Stopwatch clock = Stopwatch.StartNew();
                while (!client.Stats.Welcomed && clock.ElapsedMilliseconds < WelcomeMs)
                    Thread.Sleep(1);
                byte[] pixels = new byte[128 * 72 * 3];
                clock.Restart();
                for (int tick = -WarmUp; tick < ticks; tick++)
                {
                    long before = GC.GetAllocatedBytesForCurrentThread();
                    long from = Stopwatch.GetTimestamp();
                    Tick(client, pixels, tick);
                    long to = Stopwatch.GetTimestamp();
                    if (tick >= 0)
                    {
                        costs[tick] = 1000.0 * (to - from) / Stopwatch.Frequency;
                        allocated += GC.GetAllocatedBytesForCurrentThread() - before;
                    }
                    double left = (tick + WarmUp + 1) / Rate - clock.Elapsed.TotalSeconds;
                    if (left > 0)
                        Thread.Sleep(TimeSpan.FromSeconds(left));
                }
                Array.Sort(costs);
                ClientStats stats = client.Stats;
                Console.WriteLine(Text(
                    "{{\"client\": \"csharp\", \"ticks\": {0}, \"p50_ms\": {1:F4}, \"p95_ms\": {2:F4}, "
                        + "\"p99_ms\": {3:F4}, \"bytes_per_tick\": {4}, \"frames_sent\": {5}}}",
                    ticks, At(costs, 0.5), At(costs, 0.95), At(costs, 0.99), allocated / ticks,
                    stats.FramesSent));
                return stats.FramesSent > 0 ? 0 : 1;
            }
        }

        private static void Tick(Client client, byte[] pixels, int tick)
        {
            client.PushFrame(pixels, 128, 72);
            foreach (string name in Names)
                client.SetParameter(name, (tick + 100) % 100 / 100.0, 0.05);
            client.PostEvent("shot", gainDb: -6, position: new Vec3(1, 0, -2), occlusion: 0.25);
            client.PostEvent("footstep");
            while (client.Poll() != null)
            {
            }
        }

        private static double At(double[] sorted, double share)
        {
            return sorted[(int)Math.Ceiling(share * sorted.Length) - 1];
        }

        private static string Text(string format, params object[] about)
        {
            return string.Format(CultureInfo.InvariantCulture, format, about);
        }
    }
}
