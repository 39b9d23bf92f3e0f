using System.Diagnostics;

namespace Diegetic
{
    /// <summary>The engine's clock: seconds since some moment, at an even pace, from any thread.</summary>
    internal static class Clock
    {
        public static double Now
        {
            get { return (double)Stopwatch.GetTimestamp() / Stopwatch.Frequency; }
        }
    }
}
