using System;
using System.Collections.Generic;

namespace Diegetic
{
    /// <summary>What an engine declares in its hello.</summary>
    public abstract class Spec
    {
        internal Spec(string name)
        {
            Name = name;
        }

        public string Name { get; private set; }

        internal abstract void Write(MsgPackWriter to);

        internal abstract void Limit(ref Check check);
    }

    /// <summary>A parameter that will be set: its range, so that tools can draw a slider.</summary>
    public sealed class ParameterSpec : Spec
    {
        private readonly double _minimum;
        private readonly double _maximum;
        private readonly double _default;

        public ParameterSpec(string name, double minimum = 0, double maximum = 1, double @default = 0)
            : base(name)
        {
            _minimum = minimum;
            _maximum = maximum;
            _default = @default;
        }

        internal override void Write(MsgPackWriter to)
        {
            int map = to.OpenMap();
            to.Field(map, "name").Text(Name);
            if (_minimum != 0)
                to.Field(map, "minimum").Float(_minimum);
            if (_maximum != 1)
                to.Field(map, "maximum").Float(_maximum);
            if (_default != 0)
                to.Field(map, "default").Float(_default);
        }

        internal override void Limit(ref Check check)
        {
            check.Value("parameters.minimum", _minimum);
            check.Value("parameters.maximum", _maximum);
            if (_minimum >= _maximum)
                check.Fail("parameters.maximum", "expected more than minimum ({0}), got {1}",
                    _minimum, _maximum);
            check.Number("parameters.default", _default, _minimum, _maximum);
        }
    }

    /// <summary>A switch that will be set, and the values that it can have.</summary>
    public sealed class SwitchSpec : Spec
    {
        private readonly string[] _values;

        public SwitchSpec(string name, params string[] values)
            : base(name)
        {
            _values = (string[])values.Clone();
        }

        internal override void Write(MsgPackWriter to)
        {
            int map = to.OpenMap();
            to.Field(map, "name").Text(Name);
            to.Field(map, "values").Array(_values.Length);
            foreach (string value in _values)
                to.Text(value);
        }

        internal override void Limit(ref Check check)
        {
            check.Number("switches.values", _values.Length, 1, 256);
            foreach (string value in _values)
                check.Name("switches.values", value);
        }
    }

    /// <summary>
    /// An event that will be posted; the server makes its sounds ahead of time. A plain name has
    /// the defaults.
    /// </summary>
    public sealed class EventSpec : Spec
    {
        private readonly string _text;
        private readonly int _variations;
        private readonly double _length;
        private readonly double _gainDb;

        /// <param name="name">What <see cref="Client.PostEvent"/> will say.</param>
        /// <param name="text">What is heard, in words; `{surface}` stands for the value of the switch
        /// "surface"; "" is the name itself.</param>
        /// <param name="variations">Takes that are kept ready.</param>
        /// <param name="length">Of a take at most, in seconds.</param>
        /// <param name="gainDb">Of each take.</param>
        /// <param name="bus">Through which it is heard, built in or declared.</param>
        public EventSpec(
            string name, string text = "", int variations = 5, double length = 1, double gainDb = 0,
            string bus = "events")
            : base(name)
        {
            _text = text;
            _variations = variations;
            _length = length;
            _gainDb = gainDb;
            Bus = bus;
        }

        public string Bus { get; private set; }

        public static implicit operator EventSpec(string name)
        {
            return new EventSpec(name);
        }

        internal override void Write(MsgPackWriter to)
        {
            if (_text == "" && _variations == 5 && _length == 1 && _gainDb == 0 && Bus == "events")
            {
                to.Text(Name);
                return;
            }
            int map = to.OpenMap();
            to.Field(map, "name").Text(Name);
            if (_text != "")
                to.Field(map, "text").Text(_text);
            if (_variations != 5)
                to.Field(map, "variations").Int(_variations);
            if (_length != 1)
                to.Field(map, "length").Float(_length);
            if (_gainDb != 0)
                to.Field(map, "gain_db").Float(_gainDb);
            if (Bus != "events")
                to.Field(map, "bus").Text(Bus);
        }

        internal override void Limit(ref Check check)
        {
            check.Letters("events.text", _text, 0, 500);
            check.Number("events.variations", _variations, 1, 16);
            check.Number("events.length", _length, 0.05, 4);
            check.Gain("events.gain_db", _gainDb);
            check.Name("events.bus", Bus);
        }
    }

    /// <summary>A bus makes room for another: while that is heard, it is quieter.</summary>
    public sealed class DuckSpec
    {
        private readonly double _gainDb;
        private readonly double _attack;
        private readonly double _release;

        /// <param name="source">A bus made before it.</param>
        /// <param name="gainDb">While the source is heard.</param>
        /// <param name="attack">Seconds that it takes to give way.</param>
        /// <param name="release">Seconds that it takes to come back.</param>
        public DuckSpec(string source, double gainDb = -9, double attack = 0.05, double release = 0.5)
        {
            Source = source;
            _gainDb = gainDb;
            _attack = attack;
            _release = release;
        }

        public string Source { get; private set; }

        internal void Write(MsgPackWriter to)
        {
            int map = to.OpenMap();
            to.Field(map, "source").Text(Source);
            if (_gainDb != -9)
                to.Field(map, "gain_db").Float(_gainDb);
            if (_attack != 0.05)
                to.Field(map, "attack").Float(_attack);
            if (_release != 0.5)
                to.Field(map, "release").Float(_release);
        }

        internal void Limit(ref Check check)
        {
            check.Name("buses.ducks.source", Source);
            check.Number("buses.ducks.gain_db", _gainDb, -60, 0);
            check.Number("buses.ducks.attack", _attack, 0.001, 10);
            check.Number("buses.ducks.release", _release, 0.001, 10);
        }
    }

    /// <summary>
    /// A bus of the mixer: what is sent to it goes on to its parent. "beds" and "events" are there;
    /// they may be declared to give them another parent or ducks; "master" may not.
    /// </summary>
    public sealed class BusSpec : Spec
    {
        public BusSpec(string name, string parent = "master", params DuckSpec[] ducks)
            : base(name)
        {
            Parent = parent;
            Ducks = (DuckSpec[])ducks.Clone();
        }

        public string Parent { get; private set; }

        internal DuckSpec[] Ducks { get; private set; }

        internal override void Write(MsgPackWriter to)
        {
            int map = to.OpenMap();
            to.Field(map, "name").Text(Name);
            if (Parent != "master")
                to.Field(map, "parent").Text(Parent);
            if (Ducks.Length == 0)
                return;
            to.Field(map, "ducks").Array(Ducks.Length);
            foreach (DuckSpec duck in Ducks)
                duck.Write(to);
        }

        internal override void Limit(ref Check check)
        {
            check.Name("buses.parent", Parent);
            check.Number("buses.ducks", Ducks.Length, 0, 8);
            foreach (DuckSpec duck in Ducks)
                duck.Limit(ref check);
        }
    }

    /// <summary>A scene of the mix: while it is pushed, these gains are added to those of the buses.</summary>
    public sealed class SnapshotSpec : Spec
    {
        private readonly List<KeyValuePair<string, double>> _gainsDb;

        public SnapshotSpec(string name, IEnumerable<KeyValuePair<string, double>> gainsDb)
            : base(name)
        {
            _gainsDb = new List<KeyValuePair<string, double>>(gainsDb);
        }

        internal IEnumerable<KeyValuePair<string, double>> GainsDb
        {
            get { return _gainsDb; }
        }

        internal override void Write(MsgPackWriter to)
        {
            int map = to.OpenMap();
            to.Field(map, "name").Text(Name);
            to.Field(map, "gains_db").Map(_gainsDb.Count);
            foreach (KeyValuePair<string, double> gain in _gainsDb)
            {
                to.Text(gain.Key);
                to.Float(gain.Value);
            }
        }

        internal override void Limit(ref Check check)
        {
            check.Number("snapshots.gains_db", _gainsDb.Count, 0, 64);
            foreach (KeyValuePair<string, double> gain in _gainsDb)
            {
                check.Name("snapshots.gains_db", gain.Key);
                check.Gain("snapshots.gains_db", gain.Value);
            }
        }
    }

    /// <summary>The engine plays the sound itself: it comes here, and no device is opened.</summary>
    public sealed class PcmSpec
    {
        /// <param name="rate">Samples per second of each channel.</param>
        /// <param name="frames">Samples of each channel in a piece.</param>
        public PcmSpec(int rate = 48000, int frames = 512)
        {
            Rate = rate;
            Frames = frames;
        }

        public int Rate { get; private set; }

        public int Frames { get; private set; }

        internal void Write(MsgPackWriter to)
        {
            int map = to.OpenMap();
            if (Rate != 48000)
                to.Field(map, "rate").Int(Rate);
            if (Frames != 512)
                to.Field(map, "frames").Int(Frames);
        }

        internal void Limit(ref Check check)
        {
            check.Number("pcm.rate", Rate, 8000, 192000);
            check.Number("pcm.frames", Frames, 64, 8192);
        }
    }

    /// <summary>All that is declared, together.</summary>
    internal static class Declarations
    {
        public static void Write<T>(MsgPackWriter to, int map, string field, IList<T> specs)
            where T : Spec
        {
            if (specs.Count == 0)
                return;
            to.Field(map, field).Array(specs.Count);
            foreach (T spec in specs)
                spec.Write(to);
        }

        /// <summary>Throw an ArgumentException about the first thing that is outside its limits.</summary>
        public static void Demand(ClientOptions options)
        {
            Check check = new Check();
            check.Letters("engine", options.Engine, 0, 128);
            Each(ref check, "parameters", options.Parameters, 256);
            Each(ref check, "switches", options.Switches, 256);
            Each(ref check, "events", options.Events, 1024);
            Each(ref check, "buses", options.Buses, 64);
            Each(ref check, "snapshots", options.Snapshots, 64);
            if (options.Pcm != null)
                options.Pcm.Limit(ref check);
            check.Number("pcm depth", options.PcmDepth, 0, ClientOptions.MaxPcmDepth);
            check.Number("event ttl", options.EventTtl, 0, 1e9);
            if (!check.Failed)
                Mix(ref check, options);
            if (check.Failed)
                throw new ArgumentException(check.Field + ": " + check.Why);
        }

        private static void Each<T>(ref Check check, string field, IList<T> specs, int most)
            where T : Spec
        {
            check.Number(field, specs.Count, 0, most);
            HashSet<string> names = new HashSet<string>();
            foreach (T spec in specs)
            {
                check.Name(field + ".name", spec.Name);
                spec.Limit(ref check);
                if (!names.Add(spec.Name))
                    check.Fail(field, "expected each name once, got '{0}' again", spec.Name);
            }
        }

        /// <summary>All buses lead to the master; a parent, and what a bus ducks from, come before it.</summary>
        private static void Mix(ref Check check, ClientOptions options)
        {
            HashSet<string> made = new HashSet<string> { "beds", "events" };
            foreach (BusSpec bus in options.Buses)
                made.Remove(bus.Name);
            made.Add("master");
            foreach (BusSpec bus in options.Buses)
            {
                if (bus.Name == "master")
                    check.Fail("buses", "expected other names than 'master', got it");
                Known(ref check, "buses.parent", made, bus.Parent);
                foreach (DuckSpec duck in bus.Ducks)
                    Known(ref check, "buses.ducks.source", made, duck.Source);
                made.Add(bus.Name);
            }
            foreach (EventSpec spec in options.Events)
                Known(ref check, "events.bus", made, spec.Bus);
            foreach (SnapshotSpec snapshot in options.Snapshots)
                foreach (KeyValuePair<string, double> gain in snapshot.GainsDb)
                    Known(ref check, "snapshots.gains_db", made, gain.Key);
        }

        private static void Known(
            ref Check check, string field, HashSet<string> made, string bus)
        {
            if (!made.Contains(bus))
                check.Fail(field, "expected a bus made before it, got '{0}'", bus);
        }
    }
}
