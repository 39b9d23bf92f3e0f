using System;
using System.Net;
using System.Net.Sockets;
using System.Threading;

namespace Diegetic
{
    /// <summary>Where the server is: tcp://host:port.</summary>
    internal sealed class Endpoint
    {
        private const string Scheme = "tcp://";
        private const int LookUpMs = 5000;
        private const int ConnectMs = 5000;
        private const int SendBuffer = 1 << 17; // small: what waits in it is late already

        private readonly string _text;
        private readonly string _host;
        private readonly int _port;

        /// <exception cref="ArgumentException">It is no such address.</exception>
        public Endpoint(string text)
        {
            _text = text ?? "";
            int colon = _text.LastIndexOf(':');
            bool isTcp = _text.StartsWith(Scheme, StringComparison.Ordinal) && colon > Scheme.Length;
            if (!isTcp || !int.TryParse(_text.Substring(colon + 1), out _port) || _port < 1 || _port > 65535)
                throw new ArgumentException("endpoint: expected tcp://host:port, got '" + _text + "'");
            _host = _text.Substring(Scheme.Length, colon - Scheme.Length).Trim('[', ']');
        }

        public override string ToString()
        {
            return _text;
        }

        /// <summary>Connect; null when nobody is there, or when `stop` is set before.</summary>
        public Socket Connect(WaitHandle stop)
        {
            try
            {
                foreach (IPAddress address in Addresses(stop))
                {
                    Socket socket = Connect(address, stop);
                    if (socket != null)
                        return socket;
                }
            }
            catch (SocketException)
            {
                // No such host, or no network: as good as nobody there.
            }
            return null;
        }

        private IPAddress[] Addresses(WaitHandle stop)
        {
            IPAddress address;
            if (IPAddress.TryParse(_host, out address))
                return new[] { address };
            IAsyncResult work = Dns.BeginGetHostAddresses(_host, null, null);
            return Done(work, stop, LookUpMs) ? Dns.EndGetHostAddresses(work) : new IPAddress[0];
        }

        private Socket Connect(IPAddress address, WaitHandle stop)
        {
            Socket socket = null;
            bool isConnected = false;
            try
            {
                socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
                IAsyncResult work = socket.BeginConnect(address, _port, null, null);
                if (Done(work, stop, ConnectMs))
                {
                    socket.EndConnect(work);
                    socket.NoDelay = true;
                    socket.SendBufferSize = SendBuffer;
                    socket.Blocking = false;
                    isConnected = true;
                }
            }
            catch (SocketException)
            {
                // Nobody is there, or this machine does not speak that family.
            }
            finally
            {
                if (!isConnected && socket != null)
                    socket.Close();
            }
            return isConnected ? socket : null;
        }

        private static bool Done(IAsyncResult work, WaitHandle stop, int ms)
        {
            return WaitHandle.WaitAny(new[] { work.AsyncWaitHandle, stop }, ms) == 0;
        }
    }

    /// <summary>
    /// One connection to a ROUTER: bytes to it, pieces from it.
    ///
    /// Threads: one sends, one receives. Neither is ever longer than 0.1 s inside the system, so that
    /// both end soon once it is down.
    /// </summary>
    internal sealed class Connection
    {
        private const int SliceMicroseconds = 50000;
        private const double Silence = 2.5; // s without a byte: a server says something each second

        private readonly Socket _socket;
        private volatile bool _isDown;

        public Connection(Socket socket)
        {
            _socket = socket;
        }

        public ZmtpReader Pieces { get; } = new ZmtpReader();

        public bool IsDown
        {
            get { return _isDown; }
        }

        /// <summary>Send all of it; false if it did not get away before `isLate`, or never will.</summary>
        public bool Send(MsgPackWriter bytes, Func<bool> isLate)
        {
            int at = 0;
            while (at < bytes.Length)
            {
                if (_isDown || isLate())
                    return false;
                SocketError error;
                at += _socket.Send(bytes.Bytes, at, bytes.Length - at, SocketFlags.None, out error);
                if (error == SocketError.WouldBlock)
                    _socket.Poll(SliceMicroseconds, SelectMode.SelectWrite);
                else if (error != SocketError.Success)
                    return false;
            }
            return true;
        }

        /// <summary>Return what the server says next; waits for it, and is Broken when it is gone.</summary>
        public ZmtpPiece Receive()
        {
            double heard = Clock.Now;
            while (true)
            {
                ZmtpPiece piece = Pieces.Next();
                if (piece != ZmtpPiece.Nothing)
                    return piece;
                int room = Pieces.Room();
                SocketError error;
                int count = _socket.Receive(Pieces.Data, Pieces.End, room, SocketFlags.None, out error);
                if (error == SocketError.Success && count > 0)
                {
                    Pieces.Received(count);
                    heard = Clock.Now;
                }
                else if (error != SocketError.WouldBlock || _isDown || Clock.Now - heard > Silence)
                {
                    return ZmtpPiece.Broken;
                }
                else
                {
                    _socket.Poll(SliceMicroseconds, SelectMode.SelectRead);
                }
            }
        }

        /// <summary>Have both threads leave; from any thread.</summary>
        public void Cut()
        {
            _isDown = true;
            Shut(SocketShutdown.Both);
        }

        /// <summary>Send no more; what was sent arrives, and the server answers by closing.</summary>
        public void EndSending()
        {
            Shut(SocketShutdown.Send);
        }

        public void Close()
        {
            _socket.Close();
        }

        private void Shut(SocketShutdown how)
        {
            try
            {
                _socket.Shutdown(how);
            }
            catch (Exception error)
            {
                if (!(error is SocketException) && !(error is ObjectDisposedException))
                    throw;
                // It is gone already.
            }
        }
    }
}
