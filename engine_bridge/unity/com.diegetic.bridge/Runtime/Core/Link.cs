using System.Collections.Generic;

namespace Diegetic
{
    internal enum Phase
    {
        Away,
        Knocking,
        Open,
    }

    /// <summary>
    /// The engine's half of one connection: what to send next, what has not arrived. It knows no
    /// socket.
    ///
    ///     away --Connected--> knocking --welcome--> open --Disconnected--> away
    ///                           ^ `--error, silence: again after a while
    ///                           `--------------"no-hello"------'
    ///
    /// What the game says is kept as the bytes of its message, in the order in which it was said: a
    /// state for good, its newest value only; an event until it is acknowledged. Whenever a session
    /// opens, all of that is sent again from the first on: a restarted server is up to date at once,
    /// and one that was there all along knows an event by its id. A frame is kept only until a newer
    /// one comes.
    ///
    ///     kept   | sent ... sent | waits ... waits |   what is said anew goes to the end
    ///                              ^ _next
    ///
    /// Times are seconds of the engine's clock. Not for several threads: its owner has a lock.
    /// </summary>
    internal sealed class Link
    {
        public const double HelloAgain = 2; // s, after which a hello without an answer is repeated
        public const double PingInterval = 1;
        public const int MaxEvents = 16384; // not acknowledged; more than that are not kept

        private const double SweepInterval = 0.25; // s between looks for events that are too old

        private readonly double _ttl;
        private readonly BankWatch _bank;
        private readonly LinkedList<Said> _kept = new LinkedList<Said>();
        private readonly Dictionary<StateKey, Said> _states = new Dictionary<StateKey, Said>();
        private readonly Dictionary<long, Said> _events = new Dictionary<long, Said>();
        private readonly Stack<Said> _spare = new Stack<Said>(); // events that have gone

        private MsgPackWriter _hello;
        private int _helloTimeAt;
        private Phase _phase;
        private LinkedListNode<Said> _next;
        private MsgPackWriter _frame = new MsgPackWriter();
        private bool _frameWaits;
        private bool _isFull;
        private long _nextId = 1;
        private long _place; // of what was said last
        private double _helloAt;
        private double _pingAt;
        private double _sweepAt;
        private bool _wasOpen;
        private ClientStats _stats = new ClientStats();

        /// <param name="ttl">An event that has waited for so long while there was no session is given
        /// up and counted: a shot that is heard ten seconds late is worse than one that is not.</param>
        /// <param name="declared">Names of events.</param>
        public Link(double ttl, IEnumerable<string> declared)
        {
            _ttl = ttl;
            _bank = new BankWatch(declared);
        }

        public Phase Phase
        {
            get { return _phase; }
        }

        public ClientStats Stats
        {
            get
            {
                _stats.Connected = _phase != Phase.Away;
                _stats.Welcomed = _phase == Phase.Open;
                _stats.EventsWaiting = _events.Count;
                _stats.BankReady = _phase == Phase.Open && _bank.IsReady;
                return _stats;
            }
        }

        /// <summary>Say who is here, from the next connection on.</summary>
        /// <param name="hello">The message; its time is written anew each time.</param>
        /// <param name="timeAt">Where that is.</param>
        public void Introduce(MsgPackWriter hello, int timeAt)
        {
            _hello = hello;
            _helloTimeAt = timeAt;
        }

        public long NextId()
        {
            return _nextId++;
        }

        /// <summary>Say a state; write its message into what this returns, which is empty.</summary>
        public MsgPackWriter Say(StateKind kind, string name)
        {
            StateKey key = new StateKey(kind, name);
            Said said;
            if (_states.TryGetValue(key, out said))
                Remove(said);
            else
                _states[key] = said = new Said();
            return Append(said);
        }

        /// <summary>
        /// Post an event; write its message into what this returns, which is empty. `tooMany` says
        /// that the oldest had to be given up; it comes once until there is room again.
        /// </summary>
        public MsgPackWriter Post(long id, double time, out bool tooMany)
        {
            Said said = _spare.Count > 0 ? _spare.Pop() : new Said();
            said.Event = id;
            said.Time = time;
            _events[id] = said;
            bool isFull = _events.Count > MaxEvents;
            if (isFull)
                GiveUp(OldestEvent());
            tooMany = isFull && !_isFull;
            _isFull |= isFull;
            return Append(said);
        }

        /// <summary>What was said last is this switch's value.</summary>
        public void Switched(string name, string value)
        {
            _bank.Switched(name, value, _place);
        }

        /// <summary>What was said last is an event of this name, which may not be declared.</summary>
        public void Posted(string name)
        {
            _bank.Posted(name, _place);
        }

        /// <summary>
        /// Send a frame when there is room; one that still waits makes way and is counted. Returns a
        /// buffer that is free now, for the next.
        /// </summary>
        public MsgPackWriter Show(MsgPackWriter frame)
        {
            if (_frameWaits)
                _stats.FramesReplaced++;
            MsgPackWriter free = _frame;
            _frame = frame;
            _frameWaits = true;
            return free;
        }

        /// <summary>Count something that the client itself would not send.</summary>
        public void Refuse()
        {
            _stats.Errors++;
        }

        /// <summary>The transport reaches a server: knock.</summary>
        public void Connected(double now)
        {
            _phase = Phase.Knocking;
            _helloAt = now;
        }

        /// <summary>The transport is gone; what was on its way is lost.</summary>
        public void Disconnected()
        {
            _phase = Phase.Away;
        }

        public void Pong(double time, double now)
        {
            _stats.RoundTrip = now - time;
        }

        /// <summary>Take in what the server said.</summary>
        public void Receive(Reply reply, double now)
        {
            Ack ack = reply as Ack;
            Error error = reply as Error;
            Status status = reply as Status;
            if (ack != null)
            {
                foreach (long id in ack.Events)
                    _stats.EventsAcked += Forget(id) ? 1 : 0;
                _isFull = _isFull && _events.Count > MaxEvents / 2;
            }
            else if (error != null)
            {
                _stats.Errors++;
                if (error.Code == "no-hello" && _phase == Phase.Open)
                    Connected(now);
            }
            else if (status != null)
            {
                _stats.Status = status;
                _bank.Heard(status);
            }
            else if (reply is Welcome && _phase == Phase.Knocking)
            {
                Open(now);
            }
        }

        /// <summary>
        /// Put what should be sent next into `message`, which may become another buffer; false if
        /// there is nothing. What was taken counts as sent.
        /// </summary>
        public bool Take(double now, ref MsgPackWriter message)
        {
            if (_phase != Phase.Open)
            {
                Expire(now);
                if (_phase == Phase.Away || now < _helloAt)
                    return false;
                _hello.FloatAt(_helloTimeAt, now);
                Copy(_hello, message);
                _bank.Greeted(now);
                _helloAt = now + HelloAgain;
            }
            else if (now >= _pingAt || _bank.MustAsk(now, NextPlace()))
            { // first: no flood may let the clocks drift apart
                Messages.Plain(message.Clear(), now, "ping");
                _bank.Pinged(now, NextPlace());
                _pingAt = now + PingInterval;
            }
            else if (_next != null)
            {
                Copy(_next.Value.Bytes, message);
                _next = _next.Next;
            }
            else if (_frameWaits)
            {
                MsgPackWriter frame = _frame;
                _frame = message;
                message = frame;
                _frameWaits = false;
                _stats.FramesSent++;
            }
            else
            {
                return false;
            }
            _stats.Sent++;
            return true;
        }

        /// <summary>Take leave; false if there is no session.</summary>
        public bool Leave(double now, MsgPackWriter message)
        {
            if (_phase != Phase.Open)
                return false;
            Messages.Plain(message.Clear(), now, "bye");
            _phase = Phase.Away;
            return true;
        }

        /// <summary>When there is something to take even if nobody says anything.</summary>
        public double Due()
        {
            switch (_phase)
            {
                case Phase.Knocking:
                    return _helloAt;
                case Phase.Open:
                    return _pingAt;
                default:
                    return double.PositiveInfinity;
            }
        }

        /// <summary>Give up the events that are too old, once in a while; call it while there is no
        /// session.</summary>
        public void Expire(double now)
        {
            if (now < _sweepAt)
                return;
            _sweepAt = now + SweepInterval;
            LinkedListNode<Said> node = _kept.First;
            while (node != null)
            {
                Said said = node.Value;
                node = node.Next;
                if (said.Event != Said.NoEvent && now - said.Time > _ttl)
                    GiveUp(said);
            }
        }

        private void Open(double now)
        {
            _phase = Phase.Open;
            _pingAt = now + PingInterval;
            _sweepAt = now;
            Expire(now);
            _next = _kept.First;
            _bank.Opened(NextPlace());
            if (_wasOpen)
                _stats.Reconnects++;
            _wasOpen = true;
        }

        private long NextPlace()
        {
            return _next == null ? long.MaxValue : _next.Value.Place;
        }

        private Said OldestEvent()
        {
            LinkedListNode<Said> node = _kept.First;
            while (node.Value.Event == Said.NoEvent)
                node = node.Next;
            return node.Value;
        }

        private void GiveUp(Said said)
        {
            if (Forget(said.Event))
                _stats.EventsGivenUp++;
        }

        private bool Forget(long id)
        {
            Said said;
            if (!_events.TryGetValue(id, out said))
                return false;
            _events.Remove(id);
            Remove(said);
            _spare.Push(said);
            return true;
        }

        private MsgPackWriter Append(Said said)
        {
            _kept.AddLast(said.Node);
            said.Place = ++_place;
            if (_next == null)
                _next = said.Node;
            return said.Bytes.Clear();
        }

        private void Remove(Said said)
        {
            if (_next == said.Node)
                _next = said.Node.Next;
            _kept.Remove(said.Node);
        }

        private static void Copy(MsgPackWriter from, MsgPackWriter to)
        {
            to.Clear().Raw(from.Bytes, 0, from.Length);
        }

        /// <summary>Something that the game said, and its place among the rest.</summary>
        private sealed class Said
        {
            public const long NoEvent = -1;

            public readonly MsgPackWriter Bytes = new MsgPackWriter();
            public readonly LinkedListNode<Said> Node;
            public long Event = NoEvent;
            public double Time;
            public long Place;

            public Said()
            {
                Node = new LinkedListNode<Said>(this);
            }
        }
    }
}
