using System;
using System.Text;

namespace Diegetic
{
    /// <summary>What a ZMTP peer has said next.</summary>
    internal enum ZmtpPiece
    {
        /// <summary>Nothing yet that is whole.</summary>
        Nothing,

        /// <summary>Its READY: messages may follow.</summary>
        Ready,

        /// <summary>It asks for a PONG; the body is what that must repeat.</summary>
        Ping,

        /// <summary>A message; the body is it.</summary>
        Message,

        /// <summary>Something that a ROUTER does not say; the connection is of no use.</summary>
        Broken,
    }

    /// <summary>What a DEALER says in ZMTP 3.0 with the mechanism NULL; rfc.zeromq.org/spec/23.</summary>
    internal static class Zmtp
    {
        public const int GreetingBytes = 64;

        private const byte LongBody = 2;
        private const byte Command = 4;

        /// <summary>Greet, and say what we are; it depends on nothing that the peer says.</summary>
        public static void Greet(MsgPackWriter to, string identity)
        {
            byte[] greeting = new byte[GreetingBytes];
            greeting[0] = 0xff;
            greeting[9] = 0x7f;
            greeting[10] = 3;
            Encoding.ASCII.GetBytes("NULL", 0, 4, greeting, 12);
            to.Raw(greeting, 0, greeting.Length);
            MsgPackWriter ready = new MsgPackWriter();
            Short(ready, "READY");
            Property(ready, "Socket-Type", "DEALER");
            Property(ready, "Identity", identity);
            Frame(to, Command, ready);
        }

        public static void Message(MsgPackWriter to, MsgPackWriter message)
        {
            Frame(to, 0, message);
        }

        /// <summary>Answer a PING; `context` is what it said.</summary>
        public static void Pong(MsgPackWriter to, byte[] data, int at, int count)
        {
            to.Byte(Command);
            to.Byte((byte)(5 + count));
            Short(to, "PONG");
            to.Raw(data, at, count);
        }

        private static void Frame(MsgPackWriter to, byte flags, MsgPackWriter body)
        {
            bool isLong = body.Length > 255;
            to.Byte((byte)(flags | (isLong ? LongBody : 0)));
            to.BigEndian(body.Length, isLong ? 8 : 1);
            to.Raw(body.Bytes, 0, body.Length);
        }

        private static void Property(MsgPackWriter to, string name, string value)
        {
            Short(to, name);
            to.BigEndian(value.Length, 4);
            Ascii(to, value);
        }

        private static void Short(MsgPackWriter to, string text)
        {
            to.Byte((byte)text.Length);
            Ascii(to, text);
        }

        private static void Ascii(MsgPackWriter to, string text)
        {
            foreach (char letter in text)
                to.Byte((byte)letter);
        }
    }

    /// <summary>
    /// Takes apart what a ROUTER sends: received bytes go in at <see cref="End"/>, pieces come out of
    /// <see cref="Next"/>. It knows no socket.
    /// </summary>
    internal sealed class ZmtpReader
    {
        private const int MaxBody = Check.MaxBytes;
        private const int MaxContext = 16;

        private int _at;
        private bool _greeted;
        private bool _ready;

        public byte[] Data { get; private set; } = new byte[1 << 16];

        public int End { get; private set; }

        /// <summary>Where the latest piece's body is; good until <see cref="Room"/> is called.</summary>
        public int BodyAt { get; private set; }

        public int BodyCount { get; private set; }

        public string Reason { get; private set; }

        /// <summary>Make room behind <see cref="End"/>; returns how many bytes fit.</summary>
        public int Room()
        {
            if (_at > 0)
            {
                Buffer.BlockCopy(Data, _at, Data, 0, End - _at);
                End -= _at;
                _at = 0;
            }
            if (Data.Length - End < 1 << 14)
            {
                byte[] longer = new byte[2 * Data.Length];
                Buffer.BlockCopy(Data, 0, longer, 0, End);
                Data = longer;
            }
            return Data.Length - End;
        }

        public void Received(int count)
        {
            End += count;
        }

        public ZmtpPiece Next()
        {
            while (_greeted || Greeted())
            {
                if (Reason != null)
                    return ZmtpPiece.Broken;
                int left = End - _at;
                if (left < 2)
                    return ZmtpPiece.Nothing;
                byte flags = Data[_at];
                bool isLong = (flags & 2) != 0;
                int head = isLong ? 9 : 2;
                if (left < head)
                    return ZmtpPiece.Nothing;
                long count = Number(_at + 1, head - 1);
                if (count < 0 || count > MaxBody)
                    return Broken("a message of " + count + " bytes");
                if (left < head + count)
                    return ZmtpPiece.Nothing;
                BodyAt = _at + head;
                BodyCount = (int)count;
                _at += head + BodyCount;
                ZmtpPiece piece = Piece(flags);
                if (piece != ZmtpPiece.Nothing)
                    return piece;
            }
            return Reason == null ? ZmtpPiece.Nothing : ZmtpPiece.Broken;
        }

        private bool Greeted()
        {
            if (End - _at < Zmtp.GreetingBytes)
                return false;
            bool isZmtp = Data[_at] == 0xff && (Data[_at + 9] & 1) == 1 && Data[_at + 10] >= 3;
            if (!isZmtp)
                Reason = "no ZMTP 3";
            else if (!Says(_at + 12, 5, "NULL\0"))
                Reason = "another mechanism than NULL";
            _at += Zmtp.GreetingBytes;
            _greeted = Reason == null;
            return _greeted;
        }

        private ZmtpPiece Piece(byte flags)
        {
            if ((flags & 4) != 0)
                return Command();
            if ((flags & 1) != 0)
                return Broken("a message of more parts than one");
            return _ready ? ZmtpPiece.Message : Broken("a message before READY");
        }

        private ZmtpPiece Command()
        {
            if (Says(BodyAt, BodyCount, "\u0005READY"))
            {
                if (!IsRouter())
                    return Broken("no ROUTER");
                _ready = true;
                return ZmtpPiece.Ready;
            }
            if (Says(BodyAt, BodyCount, "\u0005ERROR"))
                return Broken("an error");
            if (!Says(BodyAt, BodyCount, "\u0004PING") || BodyCount < 7)
                return ZmtpPiece.Nothing;
            BodyAt += 7; // of these two are how long the peer waits
            BodyCount = Math.Min(BodyCount - 7, MaxContext);
            return ZmtpPiece.Ping;
        }

        /// <summary>Look for the socket's type among the properties of a READY.</summary>
        private bool IsRouter()
        {
            int end = BodyAt + BodyCount;
            int at = BodyAt + 6;
            while (at < end)
            {
                int value = at + 1 + Data[at] + 4;
                if (value > end)
                    return false;
                long count = Number(value - 4, 4);
                if (count > end - value)
                    return false;
                if (Data[at] == 11 && Says(at + 1, 11, "Socket-Type"))
                    return count == 6 && Says(value, 6, "ROUTER");
                at = value + (int)count;
            }
            return false;
        }

        private ZmtpPiece Broken(string reason)
        {
            Reason = reason;
            return ZmtpPiece.Broken;
        }

        private bool Says(int at, int count, string text)
        {
            if (count < text.Length)
                return false;
            for (int i = 0; i < text.Length; i++)
                if (Data[at + i] != text[i])
                    return false;
            return true;
        }

        /// <summary>Read a number of so many bytes, big end first.</summary>
        private long Number(int at, int size)
        {
            long value = 0;
            for (int end = at + size; at < end; at++)
                value = value << 8 | Data[at];
            return value;
        }
    }
}
