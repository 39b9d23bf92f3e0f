using System;
using System.Collections.Generic;
using System.IO;
using System.Reflection;
using System.Text;

namespace Diegetic.Tests
{
    /// <summary>Goes through the golden vectors: golden.exe vectors.json</summary>
    internal static class Golden
    {
        private static int Main(string[] arguments)
        {
            Fields file = (Fields)Json.Read(File.ReadAllText(arguments[0]));
            Expect.Same(1L, (long)file["version"], "version");
            int seen = 0;
            int failed = 0;
            foreach (Fields vector in file.List("vectors"))
            {
                try
                {
                    Go(vector);
                    seen++;
                }
                catch (Exception error)
                {
                    failed++;
                    Console.WriteLine(vector["name"] + ": " + error.Message);
                }
            }
            Console.WriteLine(seen + " vectors are right, " + failed + " are not");
            return failed == 0 && seen > 0 ? 0 : 1;
        }

        private static void Go(Fields vector)
        {
            Fields message = (Fields)vector["message"];
            byte[] bytes = Hex((string)vector["bytes"]);
            MsgPackReader whole = new MsgPackReader(bytes, 0, bytes.Length);
            whole.Skip();
            Expect.True(whole.AtEnd, "one value");
            if ((string)vector["to"] == "engine")
            {
                Decode(message, bytes);
            }
            else if ((bool)vector["exact"])
            {
                MsgPackWriter to = new MsgPackWriter();
                Encode(to, message);
                Expect.Same((string)vector["bytes"], Hex(to.Bytes, to.Length), "bytes");
            }
        }

        private static void Encode(MsgPackWriter to, Fields from)
        {
            double time = (double)from["time"];
            string name = from.Get("name", "");
            double ramp = from.Get("ramp", 0.0);
            double fade = from.Get("fade", 0.0);
            double? gain = (double?)from["gain_db"];
            Check check = new Check();
            switch ((string)from["type"])
            {
                case "hello":
                    ClientOptions options = Options(from);
                    Declarations.Demand(options);
                    int timeAt = Messages.Hello(
                        to, 77, options, from.Get("instance", ""), options.Pcm);
                    to.FloatAt(timeAt, time);
                    break;
                case "frame":
                    byte[] pixels = Hex((string)((Fields)from["pixels"])["bytes"]);
                    int width = (int)(long)from["width"];
                    int height = (int)(long)from["height"];
                    string[] formats = { "rgb24", "bgra8", "rgba8", "gray8" };
                    PixelFormat format =
                        (PixelFormat)Array.IndexOf(formats, from.Get("format", "rgb24"));
                    int stride = (int)from.Get("stride", 0L);
                    Origin origin = from.Get("origin", "top") == "top" ? Origin.Top : Origin.Bottom;
                    check.Picture(pixels, width, height, format, stride);
                    Messages.Frame(to, time, pixels, width, height, format, stride, origin);
                    break;
                case "prompt":
                    List<KeyValuePair<string, double>> texts = new List<KeyValuePair<string, double>>();
                    texts.Add(new KeyValuePair<string, double>(
                        (string)from["text"], from.Get("weight", 1.0)));
                    foreach (KeyValuePair<string, object> blend in from.Get("blend", new Fields()))
                        texts.Add(new KeyValuePair<string, double>(blend.Key, (double)blend.Value));
                    check.Texts(texts);
                    Messages.Prompt(to, time, texts, (double?)from["guidance"], ramp);
                    break;
                case "layers":
                    string[] layers = from.List("layers").ConvertAll(layer => (string)layer).ToArray();
                    check.Layers(layers);
                    Messages.Layers(to, time, layers);
                    break;
                case "parameter":
                    check.Name("name", name);
                    check.Value("value", (double)from["value"]);
                    Messages.Parameter(to, time, name, (double)from["value"], ramp);
                    break;
                case "switch":
                    check.Name("name", name);
                    check.Name("value", (string)from["value"]);
                    Messages.Switch(to, time, name, (string)from["value"]);
                    break;
                case "event":
                    double occlusion = from.Get("occlusion", 0.0);
                    check.Name("name", name);
                    Messages.Event(
                        to, time, (long)from["id"], name, gain ?? 0, Point(from["position"]), occlusion,
                        from.Get("bus", ""));
                    break;
                case "bus":
                    check.Name("name", name);
                    Messages.Bus(to, time, name, gain, (bool?)from["mute"], fade);
                    break;
                case "push_snapshot":
                case "pop_snapshot":
                    check.Name("name", name);
                    Messages.Snapshot(to, time, (string)from["type"], name, fade);
                    break;
                case "listener":
                    Vec3 forward = Point(from["forward"]) ?? new Vec3(0, 0, -1);
                    Vec3 up = Point(from["up"]) ?? new Vec3(0, 1, 0);
                    check.Directions(forward, up);
                    Messages.Listener(to, time, Point(from["position"]).Value, forward, up);
                    break;
                case "loudness":
                    Messages.Loudness(to, time, (double?)from["lufs"]);
                    break;
                case "ping":
                case "bye":
                    Messages.Plain(to, time, (string)from["type"]);
                    break;
                default:
                    throw new Exception("a message of a type that is not known here");
            }
            check.Number("time", time, 0, Check.MaxTime);
            check.Ramp("ramp", ramp);
            check.Ramp("fade", fade);
            check.Gain("gain_db", gain ?? 0);
            Expect.Same(null, check.Field, "what is out of its limits");
        }

        private static ClientOptions Options(Fields from)
        {
            ClientOptions options = new ClientOptions { Engine = from.Get("engine", "") };
            foreach (Fields spec in from.List("parameters"))
                options.Parameters.Add(new ParameterSpec(
                    (string)spec["name"], spec.Get("minimum", 0.0), spec.Get("maximum", 1.0),
                    spec.Get("default", 0.0)));
            foreach (Fields spec in from.List("switches"))
                options.Switches.Add(new SwitchSpec(
                    (string)spec["name"],
                    spec.List("values").ConvertAll(value => (string)value).ToArray()));
            foreach (object spec in from.List("events"))
                options.Events.Add(spec as string ?? EventOf((Fields)spec));
            foreach (Fields spec in from.List("buses"))
                options.Buses.Add(new BusSpec(
                    (string)spec["name"], spec.Get("parent", "master"),
                    spec.List("ducks").ConvertAll(duck => DuckOf((Fields)duck)).ToArray()));
            foreach (Fields spec in from.List("snapshots"))
                options.Snapshots.Add(new SnapshotSpec((string)spec["name"], Gains(spec)));
            Fields pcm = (Fields)from["pcm"];
            if (pcm != null)
                options.Pcm = new PcmSpec(
                    (int)pcm.Get("rate", 48000L), (int)pcm.Get("frames", 512L));
            return options;
        }

        private static EventSpec EventOf(Fields spec)
        {
            return new EventSpec(
                (string)spec["name"], spec.Get("text", ""), (int)spec.Get("variations", 5L),
                spec.Get("length", 1.0), spec.Get("gain_db", 0.0), spec.Get("bus", "events"));
        }

        private static DuckSpec DuckOf(Fields spec)
        {
            return new DuckSpec(
                (string)spec["source"], spec.Get("gain_db", -9.0), spec.Get("attack", 0.05),
                spec.Get("release", 0.5));
        }

        private static IEnumerable<KeyValuePair<string, double>> Gains(Fields spec)
        {
            foreach (KeyValuePair<string, object> gain in (Fields)spec["gains_db"])
                yield return new KeyValuePair<string, double>(gain.Key, (double)gain.Value);
        }

        private static Vec3? Point(object numbers)
        {
            List<object> point = (List<object>)numbers;
            if (point == null)
                return null;
            return new Vec3((double)point[0], (double)point[1], (double)point[2]);
        }

        private static void Decode(Fields wanted, byte[] bytes)
        {
            byte[] data = new byte[bytes.Length + 2]; // it need not lie at the beginning
            bytes.CopyTo(data, 1);
            ReplyReader reader = new ReplyReader();
            for (int count = 0; count < bytes.Length; count++)
                Expect.Same(ReplyReader.Kind.Unknown, reader.Read(data, 1, count), "cut short");
            Hurt(bytes);
            ReplyReader.Kind kind = reader.Read(data, 1, bytes.Length);
            string type = (string)wanted["type"];
            if (type == "pong")
            {
                Expect.Same(ReplyReader.Kind.Pong, kind, "kind");
                Expect.Same((double)wanted["time"], reader.Time, "time");
                Expect.Same((double)wanted["server_time"], reader.ServerTime, "server_time");
                return;
            }
            if (type == "pcm")
            {
                Expect.Same(ReplyReader.Kind.Pcm, kind, "kind");
                Expect.Same((long)wanted["number"], reader.Number, "number");
                byte[] samples = new byte[reader.SamplesCount];
                Array.Copy(data, reader.SamplesAt, samples, 0, samples.Length);
                string hex = (string)((Fields)wanted["samples"])["bytes"];
                Expect.Same(hex, Hex(samples, samples.Length), "samples");
                return;
            }
            Expect.Same(ReplyReader.Kind.Reply, kind, "kind");
            Expect.Same(type, reader.Reply.GetType().Name.ToLowerInvariant(), "type");
            PropertyInfo[] properties = reader.Reply.GetType().GetProperties();
            Expect.Same(wanted.Count - 1, properties.Length, "fields");
            foreach (PropertyInfo property in properties)
                Expect.Same(
                    Shown(wanted[Snake(property.Name)]), Shown(property.GetValue(reader.Reply)),
                    property.Name);
        }

        /// <summary>Whatever a broken message is, reading it ends well.</summary>
        private static void Hurt(byte[] bytes)
        {
            Random chance = new Random(bytes.Length);
            ReplyReader reader = new ReplyReader();
            for (int time = 0; time < 100; time++)
            {
                byte[] hurt = (byte[])bytes.Clone();
                for (int i = 0; i < 3; i++)
                    hurt[chance.Next(hurt.Length)] = (byte)chance.Next(256);
                reader.Read(hurt, 0, hurt.Length);
            }
        }

        /// <summary>A value as text, with its type.</summary>
        private static string Shown(object value)
        {
            long[] longs = value as long[];
            List<object> list = value as List<object>;
            if (longs != null)
                return string.Join(" ", longs);
            if (list != null)
                return string.Join(" ", list);
            return Text.Of(value is double ? "{0} {1:R}" : "{0} {1}", value.GetType(), value);
        }

        /// <summary>LatencyMs is latency_ms.</summary>
        private static string Snake(string name)
        {
            StringBuilder snake = new StringBuilder();
            foreach (char letter in name)
            {
                if (char.IsUpper(letter) && snake.Length > 0)
                    snake.Append('_');
                snake.Append(char.ToLowerInvariant(letter));
            }
            return snake.ToString();
        }

        private static byte[] Hex(string text)
        {
            byte[] bytes = new byte[text.Length / 2];
            for (int i = 0; i < bytes.Length; i++)
                bytes[i] = Convert.ToByte(text.Substring(2 * i, 2), 16);
            return bytes;
        }

        private static string Hex(byte[] bytes, int count)
        {
            return BitConverter.ToString(bytes, 0, count).Replace("-", "").ToLowerInvariant();
        }
    }
}
