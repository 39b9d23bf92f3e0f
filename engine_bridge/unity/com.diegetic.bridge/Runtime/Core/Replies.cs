namespace Diegetic
{
    /// <summary>What the server says to a game; see <see cref="Client.Poll"/>.</summary>
    public abstract class Reply
    {
        internal Reply()
        {
        }
    }

    /// <summary>The session is open: sound at <see cref="Rate"/> Hz, heard about
    /// <see cref="LatencyMs"/> after it was asked for.</summary>
    public sealed class Welcome : Reply
    {
        public long Version { get; internal set; }

        public string Session { get; internal set; }

        public long Rate { get; internal set; }

        public double LatencyMs { get; internal set; }

        /// <summary>The sound comes to the engine, as hello wished.</summary>
        public bool Pcm { get; internal set; }
    }

    /// <summary>These events have arrived.</summary>
    public sealed class Ack : Reply
    {
        public long[] Events { get; internal set; }
    }

    /// <summary>
    /// Something was not used: <see cref="Field"/> was wrong. Of the server, or of the client itself
    /// ("invalid": it did not send that; "full": it had to give up events).
    /// </summary>
    public sealed class Error : Reply
    {
        public string Code { get; internal set; }

        public string Field { get; internal set; }

        public string Message { get; internal set; }

        internal static Error TooManyEvents(int most)
        {
            const string why = "expected at most {0} on the way, got one more: the oldest are given up";
            return new Error { Code = "full", Field = "events", Message = Text.Of(why, most) };
        }

        public override string ToString()
        {
            return Code + ": " + Field + ": " + Message;
        }
    }

    /// <summary>How the server is doing, about once a second. Counts are since it started.</summary>
    public sealed class Status : Reply
    {
        public long Frames { get; internal set; }

        /// <summary>Frames that made way for a newer one.</summary>
        public long FramesConflated { get; internal set; }

        public long Prompts { get; internal set; }

        public long Layers { get; internal set; }

        public long Parameters { get; internal set; }

        public long Switches { get; internal set; }

        /// <summary>Received, each once.</summary>
        public long Events { get; internal set; }

        public long Buses { get; internal set; }

        public long Snapshots { get; internal set; }

        public long Listeners { get; internal set; }

        public long Errors { get; internal set; }

        /// <summary>Messages thrown away: bad, or out of order.</summary>
        public long Dropped { get; internal set; }

        /// <summary>Replies and pieces of sound for which a peer had no room.</summary>
        public long Unsent { get; internal set; }

        /// <summary>Compute time over audio time, p95.</summary>
        public double Rtf { get; internal set; }

        /// <summary>Times that the device ran dry.</summary>
        public long Underruns { get; internal set; }

        /// <summary>Takes of declared events that are ready, of <see cref="BankWanted"/>.</summary>
        public long BankReady { get; internal set; }

        public long BankWanted { get; internal set; }

        /// <summary>Events that were posted while no take fitted.</summary>
        public long EventsMissed { get; internal set; }

        public long EventsLate { get; internal set; }

        /// <summary>Time of the newest hello or ping that the figures from Rtf on know of.</summary>
        public double Heard { get; internal set; }
    }
}
