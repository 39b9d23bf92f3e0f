using System;
using System.Collections.Generic;

namespace Diegetic
{
    /// <summary>
    /// Speak to the sound server from a game: say it and forget it. Nothing here ever makes the game
    /// wait, and nothing is allocated for what a game says many times a second.
    ///
    ///     game thread --say--> Link --threads in the background--> server
    ///                 Poll &lt;-- replies &lt;--'
    ///
    /// Without a server every call does nothing but remember the newest state and the latest events.
    ///
    /// States (prompt, layers, parameters, switches, buses, snapshots, loudness, listener): the newest
    /// value counts, and is said again to a server that was restarted. Events arrive exactly once and
    /// in order, also over a broken connection; one that finds no server for 10 s is given up and
    /// counted, as is the oldest of more than 16,384. Frames: at most one waits, the newest.
    ///
    /// Wrong arguments do not throw in the middle of a game: they are logged once and come out of
    /// <see cref="Poll"/> as an <see cref="Error"/>, as do the server's.
    ///
    /// Threads: every method may be called from any thread; <see cref="ReadPcm"/> from one at a time.
    /// </summary>
    public sealed class Client : IDisposable
    {
        private readonly object _gate = new object();
        private readonly object _frameGate = new object();
        private readonly Link _link;
        private readonly Worker _worker;
        private readonly ClientOptions _options;
        private readonly Inbox _inbox;
        private MsgPackWriter _frame = new MsgPackWriter();
        private volatile PcmBuffer _pcm;

        /// <exception cref="ArgumentException">A declaration is outside its limits, or the endpoint is
        /// no address.</exception>
        public Client(ClientOptions options)
        {
            Declarations.Demand(options);
            Endpoint endpoint = new Endpoint(options.Endpoint);
            _options = options;
            Action<string> log = options.Log ?? (line => { });
            _inbox = new Inbox(log);
            _pcm = options.Pcm == null ? null : new PcmBuffer(options.Pcm, options.PcmDepth);
            _link = new Link(options.EventTtl, options.Events.ConvertAll(declared => declared.Name));
            Introduce(options.Pcm);
            string identity = Guid.NewGuid().ToString("N");
            _worker = new Worker(_link, _gate, endpoint, identity, _pcm, Receive, log);
        }

        /// <summary>The engine's clock, in seconds; an event's `at` is on it.</summary>
        public static double Now
        {
            get { return Clock.Now; }
        }

        public ClientStats Stats
        {
            get
            {
                lock (_gate)
                    return _link.Stats;
            }
        }

        /// <summary>How the sound gets here; all zero without a PcmSpec.</summary>
        public PcmStats PcmStats
        {
            get
            {
                PcmBuffer pcm = _pcm;
                return pcm == null ? new PcmStats() : pcm.Stats;
            }
        }

        /// <summary>Say what should be heard; "" is silence.</summary>
        /// <param name="text">In words.</param>
        /// <param name="guidance">How strictly, 1 to 5; null leaves it.</param>
        /// <param name="ramp">Seconds in which what is heard becomes that.</param>
        public void SetPrompt(string text, double? guidance = null, double ramp = 0)
        {
            SetPrompt(new[] { new KeyValuePair<string, double>(text, 1) }, guidance, ramp);
        }

        /// <summary>Have up to three texts heard at the same time, by their weights.</summary>
        public void SetPrompt(
            IEnumerable<KeyValuePair<string, double>> texts, double? guidance = null, double ramp = 0)
        {
            IList<KeyValuePair<string, double>> list = new List<KeyValuePair<string, double>>(
                texts ?? new KeyValuePair<string, double>[0]);
            Check check = new Check();
            check.Texts(list);
            if (guidance != null)
                check.Number("guidance", guidance.Value, 1, 5);
            check.Ramp("ramp", ramp);
            if (Refused(check))
                return;
            double now = Now;
            lock (_gate)
            {
                Messages.Prompt(_link.Say(StateKind.Prompt, ""), now, list, guidance, ramp);
                _worker.Ring();
            }
        }

        /// <summary>Have some of "ambience", "music" and "foley" heard in the endless sound; none is
        /// all.</summary>
        public void SetLayers(params string[] layers)
        {
            Check check = new Check();
            check.Layers(layers);
            if (Refused(check))
                return;
            double now = Now;
            lock (_gate)
            {
                Messages.Layers(_link.Say(StateKind.Layers, ""), now, layers);
                _worker.Ring();
            }
        }

        /// <summary>Move a declared parameter to `value` over `ramp` seconds.</summary>
        public void SetParameter(string name, double value, double ramp = 0)
        {
            Check check = new Check();
            check.Name("name", name);
            check.Value("value", value);
            check.Ramp("ramp", ramp);
            if (Refused(check))
                return;
            double now = Now;
            lock (_gate)
            {
                Messages.Parameter(_link.Say(StateKind.Parameter, name), now, name, value, ramp);
                _worker.Ring();
            }
        }

        /// <summary>Give a switch one of its values.</summary>
        public void SetSwitch(string name, string value)
        {
            Check check = new Check();
            check.Name("name", name);
            check.Name("value", value);
            if (Refused(check))
                return;
            double now = Now;
            lock (_gate)
            {
                Messages.Switch(_link.Say(StateKind.Switch, name), now, name, value);
                _link.Switched(name, value);
                _worker.Ring();
            }
        }

        /// <summary>Have something heard once; returns its id, which an <see cref="Ack"/> names when it
        /// has arrived.</summary>
        /// <param name="name">Declared or not; an undeclared one takes its time to be made.</param>
        /// <param name="gainDb">On top of the gain that it was declared with.</param>
        /// <param name="position">In metres, y up, -z ahead; null is everywhere.</param>
        /// <param name="occlusion">How much stands before it: 0 nothing, 1 a thick wall.</param>
        /// <param name="at">When, on <see cref="Now"/>'s clock, a minute ahead at most; null is now.</param>
        /// <param name="bus">Through which it is heard; "" is the one that it was declared with.</param>
        public long PostEvent(
            string name, double gainDb = 0, Vec3? position = null, double occlusion = 0,
            double? at = null, string bus = "")
        {
            double now = Now;
            double time = at ?? now;
            Check check = new Check();
            check.Name("name", name);
            check.Gain("gain_db", gainDb);
            if (position != null)
                check.Point("position", position.Value);
            check.Number("occlusion", occlusion, 0, 1);
            check.At(time, now);
            check.Letters("bus", bus, 0, 64);
            bool isRefused = Refused(check);
            bool tooMany = false;
            long id;
            lock (_gate)
            {
                id = _link.NextId();
                if (!isRefused)
                {
                    MsgPackWriter to = _link.Post(id, time, out tooMany);
                    Messages.Event(to, time, id, name, gainDb, position, occlusion, bus);
                    _link.Posted(name);
                    _worker.Ring();
                }
            }
            if (tooMany)
                _inbox.Put(Error.TooManyEvents(Link.MaxEvents));
            return id;
        }

        /// <summary>Make a bus louder or quieter, (un)mute it, or both, over `fade` seconds; null leaves
        /// a thing as it is.</summary>
        public void SetBus(string name, double? gainDb = null, bool? mute = null, double fade = 0)
        {
            Check check = new Check();
            check.Name("name", name);
            if (gainDb != null)
                check.Gain("gain_db", gainDb.Value);
            else if (mute == null)
                check.Fail("gain_db", "expected a gain or a mute, got neither");
            check.Ramp("fade", fade);
            if (Refused(check))
                return;
            double now = Now;
            lock (_gate)
            {
                if (gainDb != null)
                    Messages.Bus(_link.Say(StateKind.Gain, name), now, name, gainDb, null, fade);
                if (mute != null)
                    Messages.Bus(_link.Say(StateKind.Mute, name), now, name, null, mute, fade);
                _worker.Ring();
            }
        }

        /// <summary>Bring in a declared snapshot of the mix; one that is in stays in.</summary>
        public void PushSnapshot(string name, double fade = 0)
        {
            SetSnapshot("push_snapshot", name, fade);
        }

        /// <summary>Let a snapshot of the mix go; one that is not in stays out.</summary>
        public void PopSnapshot(string name, double fade = 0)
        {
            SetSnapshot("pop_snapshot", name, fade);
        }

        /// <summary>Have the whole mix steered towards a loudness, -40 to -10 LUFS; null is as it
        /// comes.</summary>
        public void SetLoudness(double? lufs)
        {
            Check check = new Check();
            if (lufs != null)
                check.Number("lufs", lufs.Value, -40, -10);
            if (Refused(check))
                return;
            double now = Now;
            lock (_gate)
            {
                Messages.Loudness(_link.Say(StateKind.Loudness, ""), now, lufs);
                _worker.Ring();
            }
        }

        /// <summary>Say where the ears are, looking to -z, with y up.</summary>
        public void SetListener(Vec3 position)
        {
            SetListener(position, new Vec3(0, 0, -1), new Vec3(0, 1, 0));
        }

        /// <summary>Say where the ears are, where they look, and where their own top is.</summary>
        public void SetListener(Vec3 position, Vec3 forward, Vec3 up)
        {
            Check check = new Check();
            check.Point("position", position);
            check.Directions(forward, up);
            if (Refused(check))
                return;
            double now = Now;
            lock (_gate)
            {
                Messages.Listener(_link.Say(StateKind.Listener, ""), now, position, forward, up);
                _worker.Ring();
            }
        }

        /// <summary>Show what the player sees; `pixels` are copied. 128 x 72 at 10 to 15 Hz is
        /// plenty.</summary>
        /// <param name="pixels">The rows; the last may lack its padding.</param>
        /// <param name="width">Pixels.</param>
        /// <param name="height">Pixels.</param>
        /// <param name="format">The order of their bytes.</param>
        /// <param name="stride">Bytes from row to row; 0 is without padding.</param>
        /// <param name="origin">Where the first row is.</param>
        public void PushFrame(
            byte[] pixels, int width, int height, PixelFormat format = PixelFormat.Rgb24,
            int stride = 0, Origin origin = Origin.Top)
        {
            Check check = new Check();
            check.Picture(pixels, width, height, format, stride);
            if (Refused(check))
                return;
            double now = Now;
            lock (_frameGate)
            {
                Messages.Frame(_frame.Clear(), now, pixels, width, height, format, stride, origin);
                lock (_gate)
                {
                    _frame = _link.Show(_frame);
                    _worker.Ring();
                }
            }
        }

        /// <summary>Write the next frames of sound into `into`, channel beside channel, ±1, at the rate
        /// that was asked for. For the engine's audio thread: never waits, allocates nothing, and is
        /// silent while there is no sound.</summary>
        public void ReadPcm(float[] into, int frames, int channels = 2)
        {
            Check check = new Check();
            PcmBuffer pcm = _pcm;
            if (pcm == null)
                check.Fail("pcm", "expected a PcmSpec when the client was made, got none");
            else if (into == null || frames < 0 || channels < 1 || (long)frames * channels > into.Length)
                check.Fail("into", "expected room for {0} frames of {1} channels", frames, channels);
            if (!Refused(check))
                pcm.Read(into, frames, channels);
        }

        /// <summary>
        /// Have the sound sent at another rate: the engine's output has changed. Opens a new session,
        /// in which every state is said again.
        /// </summary>
        /// <param name="spec">How it is sent from now on.</param>
        /// <param name="depth">Seconds of it that are gathered before they are read.</param>
        public void SetPcm(PcmSpec spec, double depth = 0.03)
        {
            Check check = new Check();
            check.Number("pcm depth", depth, 0, ClientOptions.MaxPcmDepth);
            if (_pcm == null || spec == null)
                check.Fail("pcm", "expected a PcmSpec now and when the client was made");
            else
                spec.Limit(ref check);
            if (Refused(check))
                return;
            Introduce(spec);
            _pcm = new PcmBuffer(spec, depth);
            _worker.Reconnect(_pcm);
        }

        /// <summary>Return the next thing that the server said, or null: a welcome, ack, error or
        /// status.</summary>
        public Reply Poll()
        {
            return _inbox.Take();
        }

        /// <summary>Say goodbye if there is a server, and stop; takes 0.25 s at most.</summary>
        public void Close()
        {
            _worker.Close();
        }

        public void Dispose()
        {
            Close();
        }

        /// <summary>Make a hello as another run of the game: the server opens a new session.</summary>
        private void Introduce(PcmSpec pcm)
        {
            MsgPackWriter hello = new MsgPackWriter();
            string instance = Guid.NewGuid().ToString("N");
            int timeAt = Messages.Hello(hello, Now, _options, instance, pcm);
            lock (_gate)
                _link.Introduce(hello, timeAt);
        }

        private void SetSnapshot(string type, string name, double fade)
        {
            Check check = new Check();
            check.Name("name", name);
            check.Ramp("fade", fade);
            if (Refused(check))
                return;
            double now = Now;
            lock (_gate)
            {
                Messages.Snapshot(_link.Say(StateKind.Snapshot, name), now, type, name, fade);
                _worker.Ring();
            }
        }

        /// <summary>Put what is wrong, if anything is, where <see cref="Poll"/> finds it.</summary>
        private bool Refused(Check check)
        {
            if (!check.Failed)
                return false;
            lock (_gate)
                _link.Refuse();
            _inbox.Put(new Error { Code = "invalid", Field = check.Field, Message = check.Why });
            return true;
        }

        private void Receive(Reply reply)
        {
            lock (_gate)
                _link.Receive(reply, Now);
            _inbox.Put(reply);
        }
    }
}
