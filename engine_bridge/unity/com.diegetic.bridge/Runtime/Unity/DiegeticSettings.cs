using System;
using System.Collections.Generic;
using UnityEngine;

namespace Diegetic.Unity
{
    /// <summary>What the game is going to say, as the inspector shows it.</summary>
    [Serializable]
    public sealed class DiegeticSettings
    {
        public List<Parameter> Parameters = new List<Parameter>();
        public List<Switch> Switches = new List<Switch>();
        public List<Event> Events = new List<Event>();

        [Tooltip("Besides \"master\", \"beds\" and \"events\"; a parent comes before its children.")]
        public List<Bus> Buses = new List<Bus>();

        public List<Snapshot> Snapshots = new List<Snapshot>();

        internal void Declare(ClientOptions options)
        {
            foreach (Parameter spec in Parameters)
                options.Parameters.Add(
                    new ParameterSpec(spec.Name, spec.Minimum, spec.Maximum, spec.Default));
            foreach (Switch spec in Switches)
                options.Switches.Add(new SwitchSpec(spec.Name, spec.Values.ToArray()));
            foreach (Event spec in Events)
                options.Events.Add(new EventSpec(
                    spec.Name, spec.Text, spec.Variations, spec.Length, spec.GainDb, spec.Bus));
            foreach (Bus spec in Buses)
                options.Buses.Add(new BusSpec(
                    spec.Name, spec.Parent, spec.Ducks.ConvertAll(duck => duck.Spec).ToArray()));
            foreach (Snapshot spec in Snapshots)
                options.Snapshots.Add(new SnapshotSpec(spec.Name, spec.Gains));
        }

        [Serializable]
        public sealed class Parameter
        {
            public string Name = "";
            public float Minimum;
            public float Maximum = 1;
            public float Default;
        }

        [Serializable]
        public sealed class Switch
        {
            public string Name = "";
            public List<string> Values = new List<string>();
        }

        [Serializable]
        public sealed class Event
        {
            public string Name = "";

            [Tooltip("What is heard, in words; {surface} is the value of the switch \"surface\".")]
            public string Text = "";

            [Range(1, 16)]
            public int Variations = 5;

            [Tooltip("Seconds, at most.")]
            [Range(0.05f, 4)]
            public float Length = 1;

            [Range(-96, 24)]
            public float GainDb;

            public string Bus = "events";
        }

        [Serializable]
        public sealed class Bus
        {
            public string Name = "";
            public string Parent = "master";
            public List<Duck> Ducks = new List<Duck>();
        }

        [Serializable]
        public sealed class Duck
        {
            [Tooltip("While this bus is heard, the other is quieter.")]
            public string Source = "";

            [Range(-60, 0)]
            public float GainDb = -9;

            [Range(0.001f, 10)]
            public float Attack = 0.05f;

            [Range(0.001f, 10)]
            public float Release = 0.5f;

            internal DuckSpec Spec
            {
                get { return new DuckSpec(Source, GainDb, Attack, Release); }
            }
        }

        [Serializable]
        public sealed class Snapshot
        {
            public string Name = "";
            public List<Gain> GainsDb = new List<Gain>();

            internal IEnumerable<KeyValuePair<string, double>> Gains
            {
                get
                {
                    foreach (Gain gain in GainsDb)
                        yield return new KeyValuePair<string, double>(gain.Bus, gain.GainDb);
                }
            }
        }

        [Serializable]
        public sealed class Gain
        {
            public string Bus = "";

            [Range(-96, 24)]
            public float GainDb;
        }
    }
}
