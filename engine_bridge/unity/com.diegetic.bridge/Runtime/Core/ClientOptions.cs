using System;
using System.Collections.Generic;

namespace Diegetic
{
    /// <summary>What a <see cref="Client"/> is made with; leave it alone afterwards.</summary>
    public sealed class ClientOptions
    {
        internal const double MaxPcmDepth = 2;

        /// <summary>The server's address.</summary>
        public string Endpoint { get; set; } = "tcp://127.0.0.1:7776";

        /// <summary>Who is speaking, for the server's log.</summary>
        public string Engine { get; set; } = "csharp";

        /// <summary>What the game is going to set.</summary>
        public List<ParameterSpec> Parameters { get; } = new List<ParameterSpec>();

        public List<SwitchSpec> Switches { get; } = new List<SwitchSpec>();

        /// <summary>What it is going to post; a plain name has the defaults.</summary>
        public List<EventSpec> Events { get; } = new List<EventSpec>();

        /// <summary>The mix, besides the buses "master", "beds" and "events"; a parent, and what a
        /// bus ducks from, come before it.</summary>
        public List<BusSpec> Buses { get; } = new List<BusSpec>();

        public List<SnapshotSpec> Snapshots { get; } = new List<SnapshotSpec>();

        /// <summary>Have the sound sent here, for <see cref="Client.ReadPcm"/>; null has the server
        /// play it.</summary>
        public PcmSpec Pcm { get; set; }

        /// <summary>Seconds of it that are gathered before they are read: what the network needs.</summary>
        public double PcmDepth { get; set; } = 0.03;

        /// <summary>Seconds that an event may wait for a server.</summary>
        public double EventTtl { get; set; } = 10;

        /// <summary>Is given a line when the server comes or goes, and once for each thing that can be
        /// wrong; from any thread.</summary>
        public Action<string> Log { get; set; }
    }
}
