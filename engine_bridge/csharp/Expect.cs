using System;
using System.Collections.Generic;

namespace Diegetic.Tests
{
    /// <summary>What tests say, and how they are run: one line for each, and 1 if any failed.</summary>
    internal static class Expect
    {
        public static void Same<T>(T wanted, T got, string what)
        {
            if (!EqualityComparer<T>.Default.Equals(wanted, got))
                throw new Exception(what + ": expected " + wanted + ", got " + got);
        }

        public static void True(bool isSo, string what)
        {
            Same(true, isSo, what);
        }

        public static int Run(IEnumerable<Action> tests)
        {
            int failed = 0;
            foreach (Action test in tests)
            {
                try
                {
                    test();
                    Console.WriteLine("ok      " + test.Method.Name);
                }
                catch (Exception error)
                {
                    failed++;
                    Console.WriteLine("FAILED  " + test.Method.Name + ": " + error);
                }
            }
            return failed == 0 ? 0 : 1;
        }
    }

    /// <summary>What a call costs in memory.</summary>
    internal static class Memory
    {
        private const int Calls = 1000;

        private static object Kept { get; set; }

        /// <summary>Return the bytes that a call allocates, once it has been made a few times.</summary>
        public static long PerCall(Action call)
        {
            Expect.True(Of(() => Kept = new byte[100]) >= 100 * Calls, "memory is measured");
            Of(call);
            return (Of(call) + Calls - 1) / Calls;
        }

        private static long Of(Action call)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < Calls; i++)
                call();
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
    }
}
