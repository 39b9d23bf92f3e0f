using System;
using System.Collections.Generic;
using System.Text;

namespace Diegetic.Tests
{
    /// <summary>ZMTP, and what a client refuses to say.</summary>
    internal static class WireUnits
    {
        public static readonly Action[] All =
        {
            PiecesAreTheSameHoweverTheBytesCome,
            WhatIsNoRouterIsRefused,
            AMessageOf256BytesHasALongHead,
            WrongArgumentsAreToldAndNeverThrown,
            EachThingThatIsWrongIsLoggedOnce,
            WrongDeclarationsAreRefusedAtOnce,
            NobodyIsNeededForAClientToOpenAndClose,
        };

        private static void PiecesAreTheSameHoweverTheBytesCome()
        {
            string longText = new string('x', 70000);
            byte[] bytes = Peer.Join(
                Peer.Greeting(), Peer.Ready("ROUTER"), Peer.Frame(0, "one"),
                Peer.Frame(4, "\u0004PING\0\u0019context"), Peer.Frame(4, "\u0003NEW?"),
                Peer.Frame(0, longText), Peer.Frame(0, ""));
            string wanted = "Ready;Message one;Ping context;Message " + longText + ";Message ;";
            Expect.Same(wanted, Pieces(bytes, bytes.Length), "at once");
            Expect.Same(wanted, Pieces(bytes, 1), "byte by byte");
            Expect.Same(wanted, Pieces(bytes, 61), "in parts");
        }

        private static void WhatIsNoRouterIsRefused()
        {
            byte[] web = Encoding.ASCII.GetBytes("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n"
                + "Connection: close\r\n\r\n");
            byte[] old = Peer.Greeting();
            old[10] = 1;
            byte[] plain = Peer.Greeting();
            Encoding.ASCII.GetBytes("PLAIN").CopyTo(plain, 12);
            byte[] huge = { 2, 0, 0, 0, 0, 0, 0x40, 0, 1 };
            byte[] endless = { 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
            byte[] greeting = Peer.Greeting();
            byte[] ready = Peer.Join(greeting, Peer.Ready("ROUTER"));
            Refused(web);
            Refused(old);
            Refused(plain);
            Refused(Peer.Join(greeting, Peer.Ready("PUB")));
            Refused(Peer.Join(greeting, Peer.Frame(4, "\u0005READY")));
            Refused(Peer.Join(greeting, Peer.Frame(4, "\u0005READY\u000bSocket-Type\0\0\u0001\0x")));
            Refused(Peer.Join(greeting, Peer.Frame(4, "\u0005ERROR\u0003no!")));
            Refused(Peer.Join(greeting, Peer.Frame(0, "early")));
            Refused(Peer.Join(ready, Peer.Frame(1, "more")));
            Refused(Peer.Join(ready, huge));
            Refused(Peer.Join(ready, endless));
        }

        private static void AMessageOf256BytesHasALongHead()
        {
            MsgPackWriter message = new MsgPackWriter();
            MsgPackWriter to = new MsgPackWriter();
            message.Raw(new byte[255], 0, 255);
            Zmtp.Message(to, message);
            Expect.Same(2 + 255, to.Length, "length");
            Expect.Same("00-FF", BitConverter.ToString(to.Bytes, 0, 2), "head");
            message.Byte(0);
            Zmtp.Message(to.Clear(), message);
            Expect.Same(9 + 256, to.Length, "length");
            Expect.Same(
                "02-00-00-00-00-00-00-01-00", BitConverter.ToString(to.Bytes, 0, 9), "head");
        }

        private static void WrongArgumentsAreToldAndNeverThrown()
        {
            Vec3 none = new Vec3(0, 0, 0);
            Vec3 ahead = new Vec3(0, 0, -2);
            Dictionary<string, double> four = new Dictionary<string, double>
            {
                { "a", 1 }, { "b", 1 }, { "c", 1 }, { "d", 1 },
            };
            using (Client client = new Client(Nowhere(null)))
            {
                Tells(client, "text", c => c.SetPrompt((string)null));
                Tells(client, "text", c => c.SetPrompt(new string('x', 2001)));
                Tells(client, "text", c => c.SetPrompt(four));
                Tells(client, "text", c => c.SetPrompt((Dictionary<string, double>)null));
                Tells(client, "blend", c => c.SetPrompt(
                    new Dictionary<string, double> { { "a", 1 }, { "b", 0 } }));
                Tells(client, "guidance", c => c.SetPrompt("a", 6));
                Tells(client, "ramp", c => c.SetPrompt("a", null, -1));
                Tells(client, "layers", c => c.SetLayers("ambience", "noise"));
                Tells(client, "layers", c => c.SetLayers("music", "music", "music", "music"));
                Tells(client, "layers", c => c.SetLayers((string[])null));
                Tells(client, "name", c => c.SetParameter("", 1));
                Tells(client, "name", c => c.SetParameter(new string('x', 65), 1));
                Tells(client, "value", c => c.SetParameter("a", double.NaN));
                Tells(client, "value", c => c.SetParameter("a", 2e9));
                Tells(client, "value", c => c.SetSwitch("a", null));
                Tells(client, "name", c => c.PostEvent(null));
                Tells(client, "gain_db", c => c.PostEvent("a", gainDb: 25));
                Tells(client, "position", c => c.PostEvent("a", position: new Vec3(0, 2e6, 0)));
                Tells(client, "occlusion", c => c.PostEvent("a", occlusion: 1.5));
                Tells(client, "time", c => c.PostEvent("a", at: Client.Now + 61));
                Tells(client, "time", c => c.PostEvent("a", at: -1));
                Tells(client, "bus", c => c.PostEvent("a", bus: null));
                Tells(client, "gain_db", c => c.SetBus("a"));
                Tells(client, "fade", c => c.SetBus("a", mute: true, fade: 61));
                Tells(client, "name", c => c.PushSnapshot(""));
                Tells(client, "fade", c => c.PopSnapshot("a", double.PositiveInfinity));
                Tells(client, "lufs", c => c.SetLoudness(double.NaN));
                Tells(client, "lufs", c => c.SetLoudness(5));
                Tells(client, "lufs", c => c.SetLoudness(-200));
                Tells(client, "forward", c => c.SetListener(none, none, ahead));
                Tells(client, "up", c => c.SetListener(none, ahead, ahead));
                Tells(client, "pixels", c => c.PushFrame(null, 1, 1));
                Tells(client, "pixels", c => c.PushFrame(new byte[11], 2, 2));
                Tells(client, "width", c => c.PushFrame(new byte[0], 0, 1));
                Tells(client, "stride", c => c.PushFrame(new byte[12], 2, 2, stride: 5));
                Tells(client, "format", c => c.PushFrame(new byte[12], 2, 2, (PixelFormat)9));
                Tells(client, "pcm", c => c.ReadPcm(new float[8], 4));
                Tells(client, "pcm", c => c.SetPcm(new PcmSpec()));
                Expect.Same(38L, client.Stats.Errors, "errors");
                client.SetPrompt("fine");
                client.PostEvent("fine", at: Client.Now + 59);
                client.PushFrame(new byte[6], 2, 2, PixelFormat.Gray8, 4); // the last row is short
                Expect.Same(38L, client.Stats.Errors, "errors");
            }
        }

        private static void EachThingThatIsWrongIsLoggedOnce()
        {
            int lines = 0;
            using (Client client = new Client(Nowhere(line => lines += line.Contains("name") ? 1 : 0)))
            {
                for (int i = 0; i < 3; i++)
                    client.SetParameter("", 1);
                int told = 0;
                while (client.Poll() != null)
                    told++;
                Expect.Same(3, told, "told");
                Expect.Same(1, lines, "logged");
            }
        }

        private static void WrongDeclarationsAreRefusedAtOnce()
        {
            Declared(o => o.Endpoint = "ipc:///tmp/sound");
            Declared(o => o.Endpoint = "tcp://127.0.0.1");
            Declared(o => o.Endpoint = "tcp://127.0.0.1:70000");
            Declared(o => o.Engine = new string('x', 129));
            Declared(o => o.Parameters.Add(new ParameterSpec("a", 1, 1)));
            Declared(o => o.Parameters.Add(new ParameterSpec("a", 0, 1, 2)));
            Declared(o => o.Switches.Add(new SwitchSpec("a")));
            Declared(o => o.Events.AddRange(new EventSpec[] { "a", "a" }));
            Declared(o => o.Events.Add(new EventSpec("a", bus: "nowhere")));
            Declared(o => o.Events.Add(new EventSpec("a", length: 5)));
            Declared(o => o.Buses.Add(new BusSpec("master")));
            Declared(o => o.Buses.Add(new BusSpec("a", "a")));
            Declared(o => o.Buses.Add(new BusSpec("a", "master", new DuckSpec("b"))));
            Declared(o => o.Snapshots.Add(
                new SnapshotSpec("a", new Dictionary<string, double> { { "b", 0 } })));
            Declared(o => o.Pcm = new PcmSpec(7000));
            Declared(o => o.PcmDepth = -1);
        }

        private static void NobodyIsNeededForAClientToOpenAndClose()
        {
            Client client = new Client(Nowhere(null));
            client.SetPrompt("rain");
            client.PostEvent("shot");
            Expect.Same(1, client.Stats.EventsWaiting, "waiting");
            Expect.True(!client.Stats.Connected && !client.Stats.Welcomed, "no server");
            client.Close();
            client.Close();
            client.SetPrompt("wind");
        }

        private static ClientOptions Nowhere(Action<string> log)
        {
            return new ClientOptions { Endpoint = "tcp://127.0.0.1:1", Log = log };
        }

        private static void Tells(Client client, string field, Action<Client> call)
        {
            call(client);
            Error error = client.Poll() as Error;
            Expect.True(error != null, field + " is told");
            Expect.Same("invalid " + field, error.Code + " " + error.Field, "what");
            Expect.Same(null, client.Poll(), "no more");
        }

        private static void Declared(Action<ClientOptions> change)
        {
            ClientOptions options = Nowhere(line => { });
            change(options);
            try
            {
                new Client(options).Close();
            }
            catch (ArgumentException)
            {
                return;
            }
            throw new Exception("expected an ArgumentException");
        }

        private static void Refused(byte[] bytes)
        {
            Expect.True(Pieces(bytes, bytes.Length).EndsWith("Broken;"), Encoding.ASCII.GetString(bytes));
        }

        private static string Pieces(byte[] bytes, int step)
        {
            ZmtpReader reader = new ZmtpReader();
            StringBuilder said = new StringBuilder();
            for (int at = 0; at < bytes.Length; at += step)
            {
                int count = Math.Min(Math.Min(step, bytes.Length - at), reader.Room());
                Array.Copy(bytes, at, reader.Data, reader.End, count);
                reader.Received(count);
                at -= step - count;
                ZmtpPiece piece = reader.Next();
                for (; piece != ZmtpPiece.Nothing && piece != ZmtpPiece.Broken; piece = reader.Next())
                {
                    string body = Encoding.ASCII.GetString(reader.Data, reader.BodyAt, reader.BodyCount);
                    said.Append(piece == ZmtpPiece.Ready ? "Ready;" : piece + " " + body + ";");
                }
                if (piece == ZmtpPiece.Broken)
                    return said + "Broken;";
            }
            return said.ToString();
        }
    }
}
