using System;

namespace Diegetic
{
    /// <summary>What the newest is kept of.</summary>
    internal enum StateKind
    {
        Prompt,
        Layers,
        Listener,
        Loudness,
        Parameter,
        Switch,
        Gain, // of a bus; said one after the other, a gain and a mute both count
        Mute,
        Snapshot,
    }

    /// <summary>Which state it is: the newest that is said under a key counts.</summary>
    internal struct StateKey : IEquatable<StateKey>
    {
        private readonly StateKind _kind;
        private readonly string _name;

        public StateKey(StateKind kind, string name)
        {
            _kind = kind;
            _name = name;
        }

        public bool Equals(StateKey other)
        {
            return _kind == other._kind && _name == other._name;
        }

        public override bool Equals(object other)
        {
            return other is StateKey && Equals((StateKey)other);
        }

        public override int GetHashCode()
        {
            return 31 * _name.GetHashCode() + (int)_kind;
        }
    }
}
