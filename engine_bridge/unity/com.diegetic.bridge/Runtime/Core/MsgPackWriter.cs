using System;
using System.Text;

namespace Diegetic
{
    /// <summary>Bytes that grow, and MessagePack in them; used again, so that nothing is allocated
    /// once they are long enough.</summary>
    internal sealed class MsgPackWriter
    {
        private static readonly UTF8Encoding Utf8 = new UTF8Encoding(false);

        public MsgPackWriter(int capacity = 64)
        {
            Bytes = new byte[capacity];
        }

        public byte[] Bytes { get; private set; }

        public int Length { get; private set; }

        public MsgPackWriter Clear()
        {
            Length = 0;
            return this;
        }

        /// <summary>Begin a message with its type; returns the map for <see cref="Field"/>.</summary>
        public int Message(string type)
        {
            int map = OpenMap();
            Field(map, "type").Text(type);
            return map;
        }

        /// <summary>Begin a map of at most 15 fields; each <see cref="Field"/> is counted.</summary>
        public int OpenMap()
        {
            Byte(0x80);
            return Length - 1;
        }

        public MsgPackWriter Field(int map, string name)
        {
            Bytes[map]++;
            Text(name);
            return this;
        }

        public void Map(int count)
        {
            Counted(count, 0x80, 15, 0, 0xde, 0xdf);
        }

        public void Array(int count)
        {
            Counted(count, 0x90, 15, 0, 0xdc, 0xdd);
        }

        public void Text(string text)
        {
            int count = Utf8.GetByteCount(text);
            Counted(count, 0xa0, 31, 0xd9, 0xda, 0xdb);
            int at = Extend(count); // before anyone looks at Bytes: they may become others
            Utf8.GetBytes(text, 0, text.Length, Bytes, at);
        }

        public void Bin(byte[] data, int at, int count)
        {
            Counted(count, 0, -1, 0xc4, 0xc5, 0xc6);
            Raw(data, at, count);
        }

        public void Bool(bool value)
        {
            Byte((byte)(value ? 0xc3 : 0xc2));
        }

        /// <summary>Write a number that is not negative in the fewest bytes.</summary>
        public void Int(long value)
        {
            if (value <= 0x7f)
                Byte((byte)value);
            else if (value <= 0xff)
                Numbered(0xcc, value, 1);
            else if (value <= 0xffff)
                Numbered(0xcd, value, 2);
            else if (value <= 0xffffffff)
                Numbered(0xce, value, 4);
            else
                Numbered(0xcf, value, 8);
        }

        public void Float(double value)
        {
            Numbered(0xcb, BitConverter.DoubleToInt64Bits(value), 8);
        }

        /// <summary>Write over a number that <see cref="Float"/> wrote at <paramref name="at"/>.</summary>
        public void FloatAt(int at, double value)
        {
            int end = Length;
            Length = at;
            Float(value);
            Length = end;
        }

        public void Point(Vec3 point)
        {
            Array(3);
            Float(point.X);
            Float(point.Y);
            Float(point.Z);
        }

        public void Byte(byte value)
        {
            int at = Extend(1);
            Bytes[at] = value;
        }

        /// <summary>Write the last <paramref name="size"/> bytes of a number, big end first.</summary>
        public void BigEndian(long value, int size)
        {
            int at = Extend(size);
            for (int shift = 8 * (size - 1); shift >= 0; shift -= 8)
                Bytes[at++] = (byte)(value >> shift);
        }

        public void Raw(byte[] data, int at, int count)
        {
            int to = Extend(count);
            Buffer.BlockCopy(data, at, Bytes, to, count);
        }

        private void Numbered(byte kind, long value, int size)
        {
            Byte(kind);
            BigEndian(value, size);
        }

        private void Counted(int count, byte few, int most, byte one, byte two, byte four)
        {
            if (count <= most)
                Byte((byte)(few | count));
            else if (one != 0 && count <= 0xff)
                Numbered(one, count, 1);
            else if (count <= 0xffff)
                Numbered(two, count, 2);
            else
                Numbered(four, count, 4);
        }

        /// <summary>Make room for more bytes; returns where they begin.</summary>
        private int Extend(int count)
        {
            int at = Length;
            Length = at + count;
            if (Length > Bytes.Length)
            {
                byte[] longer = new byte[Math.Max(Length, 2 * Bytes.Length)];
                Buffer.BlockCopy(Bytes, 0, longer, 0, at);
                Bytes = longer;
            }
            return at;
        }
    }
}
