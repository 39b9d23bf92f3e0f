using System.Collections.Generic;
using System.Globalization;

namespace Diegetic
{
    /// <summary>
    /// Holds a message's fields against their limits and remembers the first that is wrong. Costs
    /// no memory as long as nothing is.
    /// </summary>
    internal struct Check
    {
        public const int MaxBytes = 4 * 1024 * 1024;
        public const double MaxAhead = 60;
        public const double MaxTime = 1e10;

        private const double LeastLength = 1e-3; // of a direction, and of the sine between two
        private const int MaxTexts = 3;

        public string Field { get; private set; }

        public string Why { get; private set; }

        public bool Failed
        {
            get { return Field != null; }
        }

        public void Name(string field, string value)
        {
            Letters(field, value, 1, 64);
        }

        public void Letters(string field, string value, int least, int most)
        {
            if (value == null)
                Fail(field, "expected a text, got none");
            else if (value.Length < least || (value.Length > most && Text.Count(value) > most))
                Fail(field, "expected {0} to {1} letters, got {2}", least, most, Text.Count(value));
        }

        public void Number(string field, double value, double least, double most)
        {
            if (!(value >= least && value <= most)) // not so for what is not a number, too
                Fail(field, "expected {0} to {1}, got {2}", least, most, value);
        }

        public void Ramp(string field, double value)
        {
            Number(field, value, 0, 60);
        }

        public void Gain(string field, double value)
        {
            Number(field, value, -96, 24);
        }

        public void Value(string field, double value)
        {
            Number(field, value, -1e9, 1e9);
        }

        public void Point(string field, Vec3 value)
        {
            Number(field, value.X, -1e6, 1e6);
            Number(field, value.Y, -1e6, 1e6);
            Number(field, value.Z, -1e6, 1e6);
        }

        public void Directions(Vec3 forward, Vec3 up)
        {
            Point("forward", forward);
            Point("up", up);
            if (forward.Length < LeastLength)
                Fail("forward", "expected a direction, got {0}", forward);
            if (up.Length < LeastLength)
                Fail("up", "expected a direction, got {0}", up);
            if (forward.Cross(up).Length < LeastLength * forward.Length * up.Length)
                Fail("up", "expected another direction than forward, got {0}", up);
        }

        /// <summary>An event's time, on the engine's clock.</summary>
        public void At(double at, double now)
        {
            Number("time", at, 0, MaxTime);
            if (at - now > MaxAhead)
                Fail("time", "expected at most {0} s ahead, got {1}", MaxAhead, at - now);
        }

        public void Texts(IList<KeyValuePair<string, double>> texts)
        {
            if (texts.Count < 1 || texts.Count > MaxTexts)
            {
                Fail("text", "expected 1 to {0} texts, got {1}", MaxTexts, texts.Count);
                return;
            }
            for (int i = 0; i < texts.Count; i++)
            {
                string field = i == 0 ? "text" : "blend";
                Letters(field, texts[i].Key, texts.Count > 1 ? 1 : 0, 2000);
                if (!(texts[i].Value > 0 && texts[i].Value <= 1e9))
                {
                    field = i == 0 ? "weight" : "blend";
                    Fail(field, "expected more than 0, at most 1e9, got {0}", texts[i].Value);
                }
                for (int k = 0; k < i; k++)
                    if (texts[k].Key == texts[i].Key)
                        Fail("blend", "expected other texts than '{0}', got it again", texts[i].Key);
            }
        }

        public void Layers(IList<string> layers)
        {
            if (layers == null || layers.Count > 3)
                Fail("layers", "expected at most 3 names");
            if (Failed)
                return;
            foreach (string layer in layers)
                if (layer != "ambience" && layer != "music" && layer != "foley")
                    Fail("layers", "expected ambience, music or foley, got '{0}'", layer);
        }

        public void Picture(byte[] pixels, int width, int height, PixelFormat format, int stride)
        {
            if (format < PixelFormat.Rgb24 || format > PixelFormat.Gray8)
                Fail("format", "expected rgb24, bgra8, rgba8 or gray8, got {0}", (int)format);
            Number("width", width, 1, 4096);
            Number("height", height, 1, 4096);
            Number("stride", stride, 0, MaxBytes);
            if (pixels == null)
                Fail("pixels", "expected bytes, got none");
            if (Failed)
                return;
            int used = width * Messages.BytesPerPixel(format);
            int row = stride == 0 ? used : stride;
            long most = (long)row * height;
            long least = most - row + used;
            if (row < used)
                Fail("stride", "expected 0 or at least {0} ({1} pixels), got {2}", used, width, stride);
            else if (pixels.Length < least || pixels.Length > most)
                Fail("pixels", "expected {0} to {1} bytes ({2} rows of {3}), got {4}",
                    least, most, height, row, pixels.Length);
            Number("pixels", pixels.Length, 0, MaxBytes);
        }

        public void Fail(string field, string format, params object[] about)
        {
            if (Failed)
                return;
            Field = field;
            Why = Text.Of(format, about);
        }
    }

    internal static class Text
    {
        /// <summary>Format alike in every country.</summary>
        public static string Of(string format, params object[] about)
        {
            return string.Format(CultureInfo.InvariantCulture, format, about);
        }

        /// <summary>Count characters: those beyond the first plane are two chars of a string.</summary>
        public static int Count(string text)
        {
            int count = text.Length;
            for (int i = 1; i < text.Length; i++)
                if (char.IsSurrogatePair(text[i - 1], text[i]))
                    count--;
            return count;
        }
    }
}
