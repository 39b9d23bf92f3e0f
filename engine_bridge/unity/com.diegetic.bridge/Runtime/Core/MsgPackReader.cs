using System;
using System.Runtime.InteropServices;
using System.Text;

namespace Diegetic
{
    /// <summary>Reads MessagePack where it lies; what is not as expected is a FormatException.</summary>
    internal struct MsgPackReader
    {
        /// <summary>The texts that messages of the server consist of: reading one allocates nothing.</summary>
        private static readonly string[] Words =
        {
            "type", "pcm", "number", "samples", "pong", "time", "server_time", "ack", "events",
            "welcome", "version", "session", "rate", "latency_ms", "error", "code", "field",
            "message", "status", "frames", "frames_conflated", "prompts", "layers", "parameters",
            "switches", "buses", "snapshots", "listeners", "errors", "dropped", "unsent", "rtf",
            "underruns", "bank_ready", "bank_wanted", "events_missed", "events_late",
            "heard",
        };

        private readonly byte[] _data;
        private readonly int _end;
        private int _at;
        private int _count;
        private long _int;
        private double _float;

        public MsgPackReader(byte[] data, int at, int length)
        {
            _data = data;
            _at = at;
            _end = at + length;
            _count = 0;
            _int = 0;
            _float = 0;
        }

        private enum Kind
        {
            Nil,
            Bool,
            Int,
            Float,
            Text,
            Bytes,
            Array,
            Map,
        }

        public bool AtEnd
        {
            get { return _at == _end; }
        }

        public int ReadMap()
        {
            Expect(Kind.Map);
            return _count;
        }

        public int ReadArray()
        {
            Expect(Kind.Array);
            return _count;
        }

        /// <summary>Read a text that a message may consist of; any other is "".</summary>
        public string ReadWord()
        {
            Expect(Kind.Text);
            int at = Take(_count);
            foreach (string word in Words)
                if (word.Length == _count && Matches(word, at))
                    return word;
            return "";
        }

        public string ReadText()
        {
            Expect(Kind.Text);
            int at = Take(_count);
            return Encoding.UTF8.GetString(_data, at, _count);
        }

        public long ReadInt()
        {
            Expect(Kind.Int);
            return _int;
        }

        /// <summary>Read a number; a float may come as an integer.</summary>
        public double ReadFloat()
        {
            Kind kind = Next();
            if (kind != Kind.Int && kind != Kind.Float)
                throw new FormatException("expected a number");
            return kind == Kind.Int ? _int : _float;
        }

        public bool ReadBool()
        {
            Expect(Kind.Bool);
            return _int != 0;
        }

        /// <summary>Read where bytes begin in the data, and how many they are.</summary>
        public int ReadBytes(out int count)
        {
            Expect(Kind.Bytes);
            count = _count;
            return Take(count);
        }

        /// <summary>Pass over one value, whatever is in it.</summary>
        public void Skip()
        {
            for (long left = 1; left > 0; left--)
            {
                switch (Next())
                {
                    case Kind.Text:
                    case Kind.Bytes:
                        Take(_count);
                        break;
                    case Kind.Array:
                        left += _count;
                        break;
                    case Kind.Map:
                        left += 2L * _count;
                        break;
                }
            }
        }

        private void Expect(Kind kind)
        {
            if (Next() != kind)
                throw new FormatException("expected " + kind);
        }

        /// <summary>Read a head: a whole value of the small kinds, the length of the others.</summary>
        private Kind Next()
        {
            byte head = _data[Take(1)];
            if (head <= 0x7f || head >= 0xe0)
                return Whole((sbyte)head);
            if (head <= 0x8f)
                return Long(Kind.Map, head & 0xf);
            if (head <= 0x9f)
                return Long(Kind.Array, head & 0xf);
            if (head <= 0xbf)
                return Long(Kind.Text, head & 0x1f);
            switch (head)
            {
                case 0xc0:
                    return Kind.Nil;
                case 0xc2:
                case 0xc3:
                    _int = head & 1;
                    return Kind.Bool;
                case 0xc4:
                case 0xc5:
                case 0xc6:
                    return Long(Kind.Bytes, Unsigned(1 << (head - 0xc4)));
                case 0xc7:
                case 0xc8:
                case 0xc9: // an extension: as many bytes, and one that says of which kind
                    return Long(Kind.Bytes, Unsigned(1 << (head - 0xc7)) + 1);
                case 0xca:
                    _float = new Single { Bits = (int)Unsigned(4) }.Value;
                    return Kind.Float;
                case 0xcb:
                    _float = BitConverter.Int64BitsToDouble(Unsigned(8));
                    return Kind.Float;
                case 0xcc:
                case 0xcd:
                case 0xce:
                case 0xcf:
                    long value = Unsigned(1 << (head - 0xcc));
                    _float = (ulong)value;
                    return value < 0 ? Kind.Float : Whole(value); // from 2^63 on it is no long
                case 0xd0:
                    return Whole((sbyte)Unsigned(1));
                case 0xd1:
                    return Whole((short)Unsigned(2));
                case 0xd2:
                    return Whole((int)Unsigned(4));
                case 0xd3:
                    return Whole(Unsigned(8));
                case 0xd4:
                case 0xd5:
                case 0xd6:
                case 0xd7:
                case 0xd8:
                    return Long(Kind.Bytes, (1 << (head - 0xd4)) + 1);
                case 0xd9:
                case 0xda:
                case 0xdb:
                    return Long(Kind.Text, Unsigned(1 << (head - 0xd9)));
                case 0xdc:
                case 0xdd:
                    return Long(Kind.Array, Unsigned(2 << (head - 0xdc)));
                case 0xde:
                case 0xdf:
                    return Long(Kind.Map, Unsigned(2 << (head - 0xde)));
                default:
                    throw new FormatException("expected MessagePack");
            }
        }

        private Kind Whole(long value)
        {
            _int = value;
            return Kind.Int;
        }

        private Kind Long(Kind kind, long count)
        {
            if (count > _end - _at) // every item is at least one byte
                throw new FormatException("expected more bytes");
            _count = (int)count;
            return kind;
        }

        private long Unsigned(int size)
        {
            long value = 0;
            for (int at = Take(size); size > 0; size--)
                value = value << 8 | _data[at++];
            return value;
        }

        private int Take(int count)
        {
            if (count > _end - _at)
                throw new FormatException("expected more bytes");
            _at += count;
            return _at - count;
        }

        private bool Matches(string word, int at)
        {
            for (int i = 0; i < word.Length; i++)
                if (_data[at + i] != word[i])
                    return false;
            return true;
        }

        [StructLayout(LayoutKind.Explicit)]
        private struct Single
        {
            [FieldOffset(0)]
            public int Bits;

            [FieldOffset(0)]
            public float Value;
        }
    }
}
