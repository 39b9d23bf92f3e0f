using System;

namespace Diegetic
{
    /// <summary>
    /// Reads a message of the server. What comes many times a second (sound, pongs) is left where it
    /// lies and costs no memory. A value, used again for the next message.
    /// </summary>
    internal struct ReplyReader
    {
        public enum Kind
        {
            Unknown,
            Reply,
            Pong,
            Pcm,
        }

        /// <summary>A welcome, ack, error or status; null of the other kinds.</summary>
        public Reply Reply { get; private set; }

        /// <summary>A pong's: the time of the ping.</summary>
        public double Time { get; private set; }

        public double ServerTime { get; private set; }

        /// <summary>A piece of sound's, from 0 in each session.</summary>
        public long Number { get; private set; }

        /// <summary>Where a piece of sound begins in the data, and its bytes.</summary>
        public int SamplesAt { get; private set; }

        public int SamplesCount { get; private set; }

        /// <summary>Read one message; what is none that this version knows is of no kind.</summary>
        public Kind Read(byte[] data, int at, int length)
        {
            Reply = null;
            try
            {
                MsgPackReader from = new MsgPackReader(data, at, length);
                string type = Type(from);
                Kind kind = Fields(ref from, type);
                return from.AtEnd ? kind : Kind.Unknown;
            }
            catch (FormatException)
            {
                return Kind.Unknown;
            }
        }

        /// <summary>Find the type, which may stand anywhere; `from` is a copy and stays where it is.</summary>
        private static string Type(MsgPackReader from)
        {
            string type = "";
            for (int left = from.ReadMap(); left > 0; left--)
            {
                if (from.ReadWord() == "type")
                    type = from.ReadWord();
                else
                    from.Skip();
            }
            return type;
        }

        private Kind Fields(ref MsgPackReader from, string type)
        {
            switch (type)
            {
                case "pcm":
                    return Pcm(ref from);
                case "pong":
                    return Pong(ref from);
                case "ack":
                    Reply = Ack(ref from);
                    return Kind.Reply;
                case "welcome":
                    Reply = Welcome(ref from);
                    return Kind.Reply;
                case "error":
                    Reply = Error(ref from);
                    return Kind.Reply;
                case "status":
                    Reply = Status(ref from);
                    return Kind.Reply;
                default:
                    return Kind.Unknown;
            }
        }

        private Kind Pcm(ref MsgPackReader from)
        {
            Number = -1;
            SamplesAt = -1;
            for (int left = from.ReadMap(); left > 0; left--)
            {
                switch (from.ReadWord())
                {
                    case "number":
                        Number = from.ReadInt();
                        break;
                    case "samples":
                        int count;
                        SamplesAt = from.ReadBytes(out count);
                        SamplesCount = count;
                        break;
                    default:
                        from.Skip();
                        break;
                }
            }
            Demand(Number >= 0 && SamplesAt >= 0 && SamplesCount % PcmBuffer.FrameBytes == 0);
            return Kind.Pcm;
        }

        private Kind Pong(ref MsgPackReader from)
        {
            double? time = null;
            double? serverTime = null;
            for (int left = from.ReadMap(); left > 0; left--)
            {
                switch (from.ReadWord())
                {
                    case "time":
                        time = from.ReadFloat();
                        break;
                    case "server_time":
                        serverTime = from.ReadFloat();
                        break;
                    default:
                        from.Skip();
                        break;
                }
            }
            Demand(time != null && serverTime != null);
            Time = time.Value;
            ServerTime = serverTime.Value;
            return Kind.Pong;
        }

        private static Ack Ack(ref MsgPackReader from)
        {
            long[] events = null;
            for (int left = from.ReadMap(); left > 0; left--)
            {
                if (from.ReadWord() != "events")
                {
                    from.Skip();
                    continue;
                }
                events = new long[from.ReadArray()];
                for (int i = 0; i < events.Length; i++)
                    events[i] = from.ReadInt();
            }
            Demand(events != null);
            return new Ack { Events = events };
        }

        private static Welcome Welcome(ref MsgPackReader from)
        {
            long? version = null;
            long? rate = null;
            double? latency = null;
            Welcome welcome = new Welcome();
            for (int left = from.ReadMap(); left > 0; left--)
            {
                switch (from.ReadWord())
                {
                    case "version":
                        version = from.ReadInt();
                        break;
                    case "session":
                        welcome.Session = from.ReadText();
                        break;
                    case "rate":
                        rate = from.ReadInt();
                        break;
                    case "latency_ms":
                        latency = from.ReadFloat();
                        break;
                    case "pcm":
                        welcome.Pcm = from.ReadBool();
                        break;
                    default:
                        from.Skip();
                        break;
                }
            }
            Demand(version != null && welcome.Session != null && rate != null && latency != null);
            welcome.Version = version.Value;
            welcome.Rate = rate.Value;
            welcome.LatencyMs = latency.Value;
            return welcome;
        }

        private static Error Error(ref MsgPackReader from)
        {
            Error error = new Error();
            for (int left = from.ReadMap(); left > 0; left--)
            {
                switch (from.ReadWord())
                {
                    case "code":
                        error.Code = from.ReadText();
                        break;
                    case "field":
                        error.Field = from.ReadText();
                        break;
                    case "message":
                        error.Message = from.ReadText();
                        break;
                    default:
                        from.Skip();
                        break;
                }
            }
            Demand(error.Code != null && error.Field != null && error.Message != null);
            return error;
        }

        private static Status Status(ref MsgPackReader from)
        {
            Status status = new Status();
            for (int left = from.ReadMap(); left > 0; left--)
            {
                string name = from.ReadWord();
                if (name == "rtf")
                    status.Rtf = from.ReadFloat();
                else if (name == "heard")
                    status.Heard = from.ReadFloat();
                else if (name == "" || name == "type")
                    from.Skip();
                else
                    Count(status, name, ref from);
            }
            return status;
        }

        private static void Count(Status status, string name, ref MsgPackReader from)
        {
            switch (name)
            {
                case "frames":
                    status.Frames = from.ReadInt();
                    break;
                case "frames_conflated":
                    status.FramesConflated = from.ReadInt();
                    break;
                case "prompts":
                    status.Prompts = from.ReadInt();
                    break;
                case "layers":
                    status.Layers = from.ReadInt();
                    break;
                case "parameters":
                    status.Parameters = from.ReadInt();
                    break;
                case "switches":
                    status.Switches = from.ReadInt();
                    break;
                case "events":
                    status.Events = from.ReadInt();
                    break;
                case "buses":
                    status.Buses = from.ReadInt();
                    break;
                case "snapshots":
                    status.Snapshots = from.ReadInt();
                    break;
                case "listeners":
                    status.Listeners = from.ReadInt();
                    break;
                case "errors":
                    status.Errors = from.ReadInt();
                    break;
                case "dropped":
                    status.Dropped = from.ReadInt();
                    break;
                case "unsent":
                    status.Unsent = from.ReadInt();
                    break;
                case "underruns":
                    status.Underruns = from.ReadInt();
                    break;
                case "bank_ready":
                    status.BankReady = from.ReadInt();
                    break;
                case "bank_wanted":
                    status.BankWanted = from.ReadInt();
                    break;
                case "events_missed":
                    status.EventsMissed = from.ReadInt();
                    break;
                case "events_late":
                    status.EventsLate = from.ReadInt();
                    break;
                default:
                    from.Skip();
                    break;
            }
        }

        private static void Demand(bool complete)
        {
            if (!complete)
                throw new FormatException("expected more fields");
        }
    }
}
