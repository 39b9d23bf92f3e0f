namespace Diegetic
{
    /// <summary>How the client is doing.</summary>
    public struct ClientStats
    {
        /// <summary>The transport reaches a server.</summary>
        public bool Connected { get; internal set; }

        /// <summary>A session is open.</summary>
        public bool Welcomed { get; internal set; }

        /// <summary>Messages sent.</summary>
        public long Sent { get; internal set; }

        public long FramesSent { get; internal set; }

        /// <summary>Frames that made way for a newer one before they were sent.</summary>
        public long FramesReplaced { get; internal set; }

        /// <summary>Events that the server has not acknowledged yet.</summary>
        public int EventsWaiting { get; internal set; }

        public long EventsAcked { get; internal set; }

        /// <summary>Events that no server took in time, or of which too many were waiting.</summary>
        public long EventsGivenUp { get; internal set; }

        /// <summary>Error replies, and arguments that the client itself refused.</summary>
        public long Errors { get; internal set; }

        /// <summary>Sessions that opened after the first.</summary>
        public long Reconnects { get; internal set; }

        /// <summary>Seconds from the last ping to its pong; null before the first.</summary>
        public double? RoundTrip { get; internal set; }

        /// <summary>All sounds of declared events are ready, those that the switches now want: for a
        /// loading screen. False without a server, or until it has told.</summary>
        public bool BankReady { get; internal set; }

        /// <summary>What the server said of itself last; null before that.</summary>
        public Status Status { get; internal set; }
    }
}
