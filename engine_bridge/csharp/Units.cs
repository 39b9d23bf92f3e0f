using System;
using System.Collections.Generic;

namespace Diegetic.Tests
{
    /// <summary>All tests that need no server of ours: units.exe</summary>
    internal static class Units
    {
        private static int Main()
        {
            List<Action> all = new List<Action>();
            all.AddRange(LinkUnits.All);
            all.AddRange(BankUnits.All);
            all.AddRange(PcmUnits.All);
            all.AddRange(WireUnits.All);
            all.AddRange(SocketUnits.All);
            return Expect.Run(all);
        }
    }
}
