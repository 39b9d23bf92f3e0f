using System.Collections.Generic;

namespace Diegetic
{
    /// <summary>The order of the bytes of a pixel.</summary>
    public enum PixelFormat
    {
        Rgb24,
        Bgra8,
        Rgba8,
        Gray8,
    }

    /// <summary>Where a picture's first row is.</summary>
    public enum Origin
    {
        Top,
        Bottom,
    }

    /// <summary>
    /// What an engine says, as it goes over the wire: one MessagePack map each, fields in the order
    /// of PROTOCOL.md, those at their default left out. Limits are looked after by <see cref="Check"/>.
    /// </summary>
    internal static class Messages
    {
        public const int Version = 1;

        private static readonly string[] FormatNames = { "rgb24", "bgra8", "rgba8", "gray8" };
        private static readonly int[] PixelBytes = { 3, 4, 4, 1 };

        public static string Name(PixelFormat format)
        {
            return FormatNames[(int)format];
        }

        public static int BytesPerPixel(PixelFormat format)
        {
            return PixelBytes[(int)format];
        }

        /// <summary>Write a hello; returns where its time is, for <see cref="MsgPackWriter.FloatAt"/>.</summary>
        public static int Hello(
            MsgPackWriter to, double time, ClientOptions options, string instance, PcmSpec pcm)
        {
            int map = to.Message("hello");
            to.Field(map, "version").Int(Version);
            to.Field(map, "time");
            int timeAt = to.Length;
            to.Float(time);
            if (options.Engine != "")
                to.Field(map, "engine").Text(options.Engine);
            if (instance != "")
                to.Field(map, "instance").Text(instance);
            Declarations.Write(to, map, "parameters", options.Parameters);
            Declarations.Write(to, map, "switches", options.Switches);
            Declarations.Write(to, map, "events", options.Events);
            Declarations.Write(to, map, "buses", options.Buses);
            Declarations.Write(to, map, "snapshots", options.Snapshots);
            if (pcm != null)
                pcm.Write(to.Field(map, "pcm"));
            return timeAt;
        }

        public static void Frame(
            MsgPackWriter to, double time, byte[] pixels, int width, int height, PixelFormat format,
            int stride, Origin origin)
        {
            int map = to.Message("frame");
            to.Field(map, "width").Int(width);
            to.Field(map, "height").Int(height);
            to.Field(map, "time").Float(time);
            to.Field(map, "pixels").Bin(pixels, 0, pixels.Length);
            if (format != PixelFormat.Rgb24)
                to.Field(map, "format").Text(Name(format));
            if (stride != 0)
                to.Field(map, "stride").Int(stride);
            if (origin != Origin.Top)
                to.Field(map, "origin").Text("bottom");
        }

        /// <summary>Write a prompt: its first text is the `text`, the others are its `blend`.</summary>
        public static void Prompt(
            MsgPackWriter to, double time, IList<KeyValuePair<string, double>> texts, double? guidance,
            double ramp)
        {
            int map = to.Message("prompt");
            to.Field(map, "text").Text(texts[0].Key);
            to.Field(map, "time").Float(time);
            if (guidance != null)
                to.Field(map, "guidance").Float(guidance.Value);
            if (texts[0].Value != 1)
                to.Field(map, "weight").Float(texts[0].Value);
            if (texts.Count > 1)
            {
                to.Field(map, "blend").Map(texts.Count - 1);
                for (int i = 1; i < texts.Count; i++)
                {
                    to.Text(texts[i].Key);
                    to.Float(texts[i].Value);
                }
            }
            Optional(to, map, "ramp", ramp);
        }

        public static void Layers(MsgPackWriter to, double time, IList<string> layers)
        {
            int map = to.Message("layers");
            to.Field(map, "layers").Array(layers.Count);
            foreach (string layer in layers)
                to.Text(layer);
            to.Field(map, "time").Float(time);
        }

        public static void Parameter(
            MsgPackWriter to, double time, string name, double value, double ramp)
        {
            int map = to.Message("parameter");
            to.Field(map, "name").Text(name);
            to.Field(map, "value").Float(value);
            to.Field(map, "time").Float(time);
            Optional(to, map, "ramp", ramp);
        }

        public static void Switch(MsgPackWriter to, double time, string name, string value)
        {
            int map = to.Message("switch");
            to.Field(map, "name").Text(name);
            to.Field(map, "value").Text(value);
            to.Field(map, "time").Float(time);
        }

        public static void Event(
            MsgPackWriter to, double time, long id, string name, double gainDb, Vec3? position,
            double occlusion, string bus)
        {
            int map = to.Message("event");
            to.Field(map, "id").Int(id);
            to.Field(map, "name").Text(name);
            to.Field(map, "time").Float(time);
            Optional(to, map, "gain_db", gainDb);
            if (position != null)
                to.Field(map, "position").Point(position.Value);
            Optional(to, map, "occlusion", occlusion);
            if (bus != "")
                to.Field(map, "bus").Text(bus);
        }

        public static void Bus(
            MsgPackWriter to, double time, string name, double? gainDb, bool? mute, double fade)
        {
            int map = to.Message("bus");
            to.Field(map, "name").Text(name);
            to.Field(map, "time").Float(time);
            if (gainDb != null)
                to.Field(map, "gain_db").Float(gainDb.Value);
            if (mute != null)
                to.Field(map, "mute").Bool(mute.Value);
            Optional(to, map, "fade", fade);
        }

        /// <summary>Write `push_snapshot` or `pop_snapshot`.</summary>
        public static void Snapshot(
            MsgPackWriter to, double time, string type, string name, double fade)
        {
            int map = to.Message(type);
            to.Field(map, "name").Text(name);
            to.Field(map, "time").Float(time);
            Optional(to, map, "fade", fade);
        }

        public static void Loudness(MsgPackWriter to, double time, double? lufs)
        {
            int map = to.Message("loudness");
            to.Field(map, "time").Float(time);
            if (lufs != null)
                to.Field(map, "lufs").Float(lufs.Value);
        }

        public static void Listener(
            MsgPackWriter to, double time, Vec3 position, Vec3 forward, Vec3 up)
        {
            int map = to.Message("listener");
            to.Field(map, "position").Point(position);
            to.Field(map, "time").Float(time);
            if (!forward.Is(0, 0, -1))
                to.Field(map, "forward").Point(forward);
            if (!up.Is(0, 1, 0))
                to.Field(map, "up").Point(up);
        }

        /// <summary>Write what has only a time: `ping` or `bye`.</summary>
        public static void Plain(MsgPackWriter to, double time, string type)
        {
            int map = to.Message(type);
            to.Field(map, "time").Float(time);
        }

        private static void Optional(MsgPackWriter to, int map, string name, double value)
        {
            if (value != 0)
                to.Field(map, name).Float(value);
        }
    }
}
