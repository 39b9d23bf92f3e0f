using System;
using System.Net.Sockets;
using System.Threading;

namespace Diegetic
{
    /// <summary>
    /// Carries what a Link has to say to the server, and the answers back, from now until Close.
    ///
    ///     Link --Take--> thread that sends --.
    ///                                         > ROUTER
    ///     Link, PcmBuffer <-- thread that listens --'      (one for each connection)
    ///
    /// While the game talks, the sender looks by itself and nobody wakes it: to wake a thread may cost
    /// the one that does its turn on the processor.
    ///
    /// Threads: both are in the background and never keep a process alive. They hold the gate for
    /// microseconds, and never while they are inside the system. Close may be called from any thread.
    /// </summary>
    internal sealed class Worker
    {
        private const double FirstPause = 0.1; // s between attempts to connect, and twice that next
        private const double LongestPause = 1;
        private const double LongestNap = 1;
        private const double Glance = 0.004; // s between looks at the link while the game talks
        private const double Lively = 0.1; // s after the last word for which it is said to talk
        private const double Goodbye = 0.1;
        private const int CloseMs = 250;
        private const int Batch = 1 << 16; // bytes that are sent at once

        private readonly Link _link;
        private readonly object _gate;
        private readonly Endpoint _endpoint;
        private readonly string _identity;
        private readonly Action<Reply> _receive;
        private readonly Action<string> _log;
        private readonly Thread _thread;
        private readonly ManualResetEvent _stop = new ManualResetEvent(false);
        private readonly Func<bool> _isLate;
        private readonly MsgPackWriter _out = new MsgPackWriter(2 * Batch);
        private readonly MsgPackWriter _pong = new MsgPackWriter();
        private MsgPackWriter _message = new MsgPackWriter();
        private ReplyReader _reply;
        private volatile Connection _connection;
        private volatile PcmBuffer _pcm;
        private volatile bool _isClosing;
        private double _closingSince;
        private double _livelyUntil; // of the thread that sends
        private bool _isNapping; // the sender waits for Ring; under the gate
        private volatile bool _isWelcome;
        private volatile bool _toldAbsent;

        /// <param name="link">What is to be said; others touch it under `gate`, and then ring.</param>
        /// <param name="gate">Held by whoever touches `link`.</param>
        /// <param name="endpoint">Where the server is.</param>
        /// <param name="identity">The routing id of this run.</param>
        /// <param name="pcm">Where the sound goes; null is nowhere.</param>
        /// <param name="receive">Is given each reply, without the gate.</param>
        /// <param name="log">Is given a line for people, without the gate.</param>
        public Worker(
            Link link, object gate, Endpoint endpoint, string identity, PcmBuffer pcm,
            Action<Reply> receive, Action<string> log)
        {
            _link = link;
            _gate = gate;
            _endpoint = endpoint;
            _identity = identity;
            _pcm = pcm;
            _receive = receive;
            _log = log;
            _isLate = IsLate;
            _thread = new Thread(Run) { IsBackground = true, Name = "diegetic bridge" };
            _thread.Start();
        }

        /// <summary>There is something to send: call it with the gate held.</summary>
        public void Ring()
        {
            if (_isNapping)
                Monitor.Pulse(_gate);
        }

        /// <summary>Connect anew, and have the sound go elsewhere.</summary>
        public void Reconnect(PcmBuffer pcm)
        {
            _pcm = pcm;
            Connection connection = _connection;
            if (connection != null)
                connection.Cut();
        }

        /// <summary>Say goodbye if there is a server, and stop; takes 0.25 s at most.</summary>
        public void Close()
        {
            lock (_gate)
            {
                if (!_isClosing)
                    _closingSince = Clock.Now;
                _isClosing = true;
                Monitor.Pulse(_gate);
            }
            _stop.Set();
            if (Thread.CurrentThread != _thread)
                _thread.Join(CloseMs);
        }

        private void Run()
        {
            try
            {
                double pause = FirstPause;
                while (!_isClosing)
                {
                    _isWelcome = false;
                    Socket socket = _endpoint.Connect(_stop);
                    if (socket != null)
                        Serve(new Connection(socket));
                    if (_isClosing)
                        return;
                    Miss(_isWelcome ? "has gone" : "does not answer");
                    pause = _isWelcome ? FirstPause : Math.Min(2 * pause, LongestPause);
                    lock (_gate)
                        _link.Expire(Clock.Now);
                    _stop.WaitOne(TimeSpan.FromSeconds(pause));
                }
            }
            catch (Exception error)
            {
                _log("the bridge failed, the game goes on without sound: " + error);
            }
        }

        private void Miss(string state)
        {
            if (!_toldAbsent)
                _log("the sound server at " + _endpoint + " " + state + "; trying on");
            _toldAbsent = true;
        }

        private void Serve(Connection connection)
        {
            _connection = connection;
            Thread listener = new Thread(() => Listen(connection));
            listener.IsBackground = true;
            listener.Name = "diegetic bridge, listening";
            listener.Start();
            Speak(connection);
            if (_isClosing && SayBye(connection))
                listener.Join(TimeSpan.FromSeconds(Goodbye));
            connection.Cut();
            listener.Join();
            connection.Close();
        }

        /// <summary>Send what there is to send, until the connection is down or the game closes.</summary>
        private void Speak(Connection connection)
        {
            _pong.Clear();
            Zmtp.Greet(_out.Clear(), _identity);
            while (_out.Length > 0 && connection.Send(_out, _isLate))
            {
                _out.Clear();
                while (_out.Length < Batch && Fetch(connection, _out.Length == 0))
                    Zmtp.Message(_out, _message);
            }
        }

        /// <summary>Get the next message; false if there is none, or none comes any more.</summary>
        private bool Fetch(Connection connection, bool mayWait)
        {
            lock (_gate)
            {
                while (true)
                {
                    if (_pong.Length > 0)
                    {
                        _out.Raw(_pong.Bytes, 0, _pong.Length);
                        _pong.Clear();
                        mayWait = false;
                    }
                    double now = Clock.Now;
                    if (connection.IsDown)
                        return false;
                    if (_link.Take(now, ref _message))
                    {
                        _livelyUntil = now + Lively;
                        return true;
                    }
                    if (!mayWait || _isClosing)
                        return false;
                    _isNapping = now > _livelyUntil;
                    double nap = Math.Min(LongestNap, Math.Max(Glance, _link.Due() - now));
                    Monitor.Wait(_gate, TimeSpan.FromSeconds(_isNapping ? nap : Glance));
                    _isNapping = false;
                }
            }
        }

        /// <summary>Take leave; true if that is on its way.</summary>
        private bool SayBye(Connection connection)
        {
            lock (_gate)
            {
                if (!_link.Leave(Clock.Now, _message))
                    return false;
            }
            Zmtp.Message(_out.Clear(), _message);
            if (!connection.Send(_out, _isLate))
                return false;
            connection.EndSending();
            return true;
        }

        private bool IsLate()
        {
            return _isClosing && Clock.Now - _closingSince > Goodbye;
        }

        private void Listen(Connection connection)
        {
            try
            {
                while (Take(connection.Receive(), connection.Pieces))
                {
                }
            }
            catch (Exception error)
            {
                _log("the bridge failed, and begins anew: " + error);
            }
            finally
            {
                connection.Cut();
                lock (_gate)
                {
                    _link.Disconnected();
                    Ring();
                }
            }
        }

        private bool Take(ZmtpPiece piece, ZmtpReader from)
        {
            switch (piece)
            {
                case ZmtpPiece.Ready:
                    lock (_gate)
                    {
                        _link.Connected(Clock.Now);
                        Ring();
                    }
                    return true;
                case ZmtpPiece.Ping:
                    lock (_gate)
                    {
                        Zmtp.Pong(_pong.Clear(), from.Data, from.BodyAt, from.BodyCount);
                        Ring();
                    }
                    return true;
                case ZmtpPiece.Message:
                    Take(from);
                    return true;
                default:
                    return false;
            }
        }

        private void Take(ZmtpReader from)
        {
            switch (_reply.Read(from.Data, from.BodyAt, from.BodyCount))
            {
                case ReplyReader.Kind.Pcm:
                    PcmBuffer pcm = _pcm;
                    if (pcm != null)
                        pcm.Push(_reply.Number, from.Data, _reply.SamplesAt, _reply.SamplesCount);
                    break;
                case ReplyReader.Kind.Pong:
                    lock (_gate)
                        _link.Pong(_reply.Time, Clock.Now);
                    break;
                case ReplyReader.Kind.Reply:
                    _receive(_reply.Reply);
                    lock (_gate)
                        Ring(); // a session may have opened
                    if (_reply.Reply is Welcome)
                    {
                        _isWelcome = true;
                        if (_toldAbsent)
                            _log("the sound server at " + _endpoint + " is there");
                        _toldAbsent = false;
                    }
                    break;
            }
        }
    }
}
