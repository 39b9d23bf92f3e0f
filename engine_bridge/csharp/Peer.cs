using System;
using System.Collections.Generic;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Diegetic.Tests
{
    /// <summary>A server of few words, over a real socket: it speaks ZMTP and does what a test says.</summary>
    internal sealed class Peer : IDisposable
    {
        public const double Patience = 20; // s

        private readonly TcpListener _listener = new TcpListener(IPAddress.Loopback, 0);
        private readonly List<Socket> _sockets = new List<Socket>();

        public Peer()
        {
            _listener.Start();
        }

        public string Endpoint
        {
            get { return "tcp://127.0.0.1:" + ((IPEndPoint)_listener.LocalEndpoint).Port; }
        }

        public string Identity { get; private set; }

        /// <summary>The latest connection.</summary>
        private Socket Latest
        {
            get { return _sockets[_sockets.Count - 1]; }
        }

        public static byte[] Greeting()
        {
            byte[] greeting = new byte[64];
            greeting[0] = 0xff;
            greeting[9] = 0x7f;
            greeting[10] = 3;
            greeting[11] = 1;
            Encoding.ASCII.GetBytes("NULL").CopyTo(greeting, 12);
            return greeting;
        }

        public static byte[] Ready(string kind)
        {
            string properties = "\u0008Identity\0\0\0\0\u000bSocket-Type\0\0\0" + (char)kind.Length + kind;
            return Frame(4, "\u0005READY" + properties);
        }

        public static byte[] Frame(byte flags, string body)
        {
            byte[] bytes = new byte[body.Length];
            for (int i = 0; i < bytes.Length; i++)
                bytes[i] = (byte)body[i];
            return Frame(flags, bytes);
        }

        public static byte[] Frame(byte flags, byte[] body)
        {
            int count = body.Length;
            byte[] head = count < 256
                ? new[] { flags, (byte)count }
                : new byte[]
                {
                    (byte)(flags | 2), 0, 0, 0, 0, (byte)(count >> 24), (byte)(count >> 16),
                    (byte)(count >> 8), (byte)count,
                };
            return Join(head, body);
        }

        public static byte[] Join(params byte[][] parts)
        {
            int count = 0;
            foreach (byte[] part in parts)
                count += part.Length;
            byte[] all = new byte[count];
            int at = 0;
            foreach (byte[] part in parts)
            {
                part.CopyTo(all, at);
                at += part.Length;
            }
            return all;
        }

        /// <summary>Take the client's next connection, and shake hands.</summary>
        public void Accept()
        {
            _sockets.Add(_listener.AcceptSocket());
            Latest.ReceiveTimeout = (int)(1000 * Patience);
            Latest.SendTimeout = Latest.ReceiveTimeout;
            Send(Join(Greeting(), Ready("ROUTER")));
            Expect.Same("FF", BitConverter.ToString(Receive(64), 0, 1), "signature");
            string ready = Next();
            Expect.True(ready.StartsWith("\u0005READY"), "READY");
            Expect.True(ready.Contains("Socket-Type\0\0\0\u0006DEALER"), "DEALER");
            Identity = ready.Substring(ready.IndexOf("Identity") + 12, 32);
        }

        /// <summary>Take the next connection and its hello, open a session; returns the hello.</summary>
        public string Welcome()
        {
            Accept();
            string hello = Next();
            Expect.True(hello.Contains("hello"), "hello");
            MsgPackWriter welcome = new MsgPackWriter();
            int map = welcome.Message("welcome");
            welcome.Field(map, "version").Int(1);
            welcome.Field(map, "session").Text("s");
            welcome.Field(map, "rate").Int(48000);
            welcome.Field(map, "latency_ms").Float(80);
            Say(welcome);
            return hello;
        }

        public void Say(MsgPackWriter message)
        {
            byte[] body = new byte[message.Length];
            Array.Copy(message.Bytes, body, body.Length);
            Send(Frame(0, body));
        }

        public void Send(byte[] bytes)
        {
            Latest.Send(bytes);
        }

        /// <summary>The next frame's body, a char a byte.</summary>
        public string Next()
        {
            byte[] head = Receive(2);
            int count = head[1];
            if ((head[0] & 2) != 0)
            {
                byte[] rest = Receive(7);
                count = rest[4] << 16 | rest[5] << 8 | rest[6];
            }
            StringBuilder body = new StringBuilder();
            foreach (byte one in Receive(count))
                body.Append((char)one);
            return body.ToString();
        }

        /// <summary>The last words before the client closed, without the time of them.</summary>
        public string Rest()
        {
            byte[] bytes = new byte[1 << 16];
            StringBuilder words = new StringBuilder();
            SocketError error;
            int count;
            do
            {
                count = Latest.Receive(bytes, 0, bytes.Length, SocketFlags.None, out error);
                for (int i = 0; i < count; i++)
                    words.Append((char)bytes[i]);
                words.Remove(0, Math.Max(0, words.Length - 64));
            }
            while (error == SocketError.Success && count > 0);
            return words.ToString(0, Math.Max(0, words.Length - 9));
        }

        /// <summary>The client has sent all, and closed.</summary>
        public bool IsAtEnd()
        {
            return Latest.Receive(new byte[1]) == 0;
        }

        /// <summary>Close what is open.</summary>
        public void Hang()
        {
            foreach (Socket socket in _sockets)
                socket.Close();
            _sockets.Clear();
        }

        public void Dispose()
        {
            Hang();
            _listener.Stop();
        }

        private byte[] Receive(int count)
        {
            byte[] bytes = new byte[count];
            for (int at = 0; at < count;)
            {
                int got = Latest.Receive(bytes, at, count - at, SocketFlags.None);
                if (got == 0)
                    throw new Exception("the client has closed");
                at += got;
            }
            return bytes;
        }
    }
}
