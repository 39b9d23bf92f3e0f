using System.Collections.Generic;

namespace Diegetic
{
    /// <summary>
    /// Whether all sounds are ready that are wanted now. Which those are depends on hello, on
    /// switches, and on names that are posted undeclared. Once all of that has been sent, a ping
    /// follows (or the hello was enough): a status that has heard it tells of the bank that is
    /// wanted now, and none before it does.
    ///
    /// `place` is where something stands among all that was said, from 1; `next` that of what is
    /// sent next. Times are seconds of the engine's clock.
    /// </summary>
    internal sealed class BankWatch
    {
        private const int MaxNames = 1024; // that were posted undeclared; servers know no more

        private readonly HashSet<string> _declared;
        private readonly HashSet<string> _posted = new HashSet<string>();
        private readonly Dictionary<string, string> _values = new Dictionary<string, string>();
        private long _news; // place of what was said last that the bank depends on
        private double _greeted; // of the newest hello or ping
        private double? _asked; // of the one that followed all news

        /// <param name="declared">Names of events.</param>
        public BankWatch(IEnumerable<string> declared)
        {
            _declared = new HashSet<string>(declared);
        }

        /// <summary>True when a server has said so.</summary>
        public bool IsReady { get; private set; }

        public void Switched(string name, string value, long place)
        {
            string before;
            _values.TryGetValue(name, out before);
            _values[name] = value;
            Look(place, before != value);
        }

        public void Posted(string name, long place)
        {
            if (!_declared.Contains(name))
                Look(place, _posted.Count < MaxNames && _posted.Add(name));
        }

        public void Greeted(double now)
        {
            _greeted = now;
        }

        /// <summary>A ping is to follow what has been sent.</summary>
        public bool MustAsk(double now, long next)
        {
            return _asked == null && next > _news && now > _greeted;
        }

        public void Pinged(double now, long next)
        {
            if (MustAsk(now, next))
                _asked = now;
            _greeted = now;
        }

        /// <summary>A session has opened, in which all that is kept is sent again.</summary>
        public void Opened(long next)
        {
            IsReady = false;
            _asked = null;
            if (next > _news)
                _asked = _greeted;
        }

        public void Heard(Status status)
        {
            IsReady = status.Heard >= _asked && status.BankReady >= status.BankWanted;
        }

        private void Look(long place, bool differs)
        {
            _news = place;
            if (!differs)
                return;
            _asked = null;
            IsReady = false;
        }
    }
}
