using System;

namespace Diegetic.Tests
{
    /// <summary>The jitter buffer: 48 kHz, pieces of 512, 30 ms deep.</summary>
    internal static class PcmUnits
    {
        private const int Piece = 512;
        private const int Depth = 1440;
        private const int Fade = 192;
        private const float Rounding = 1e-5f; // of sums of a few float32 around 1

        public static readonly Action[] All =
        {
            NothingIsHeardBeforeEnoughIsGathered,
            WhatEndsTooEarlyFadesOutAndIsCounted,
            WhatPilesUpIsLeftOutUnderAFade,
            EverySampleComesThroughInOrder,
            WhatNobodyReadsIsLostAndCounted,
            AMissingPieceIsCountedAndANewStreamIsNone,
            OneChannelHasTheMiddleAndTheThirdNothing,
            PushingAndReadingAllocatesNothing,
        };

        private static void NothingIsHeardBeforeEnoughIsGathered()
        {
            PcmBuffer buffer = Made();
            Push(buffer, 0, 1);
            Push(buffer, 1, 1);
            Same(new float[Piece], Read(buffer, Piece), 0, Piece, "before");
            Push(buffer, 2, 1);
            float[] heard = Read(buffer, Piece);
            for (int i = 0; i < Piece; i++)
                Near(Math.Min(1, (float)i / Fade), heard[i], "frame " + i);
        }

        private static void WhatEndsTooEarlyFadesOutAndIsCounted()
        {
            PcmBuffer buffer = Flowing();
            float[] heard = Read(buffer, 4 * Piece); // there are 3
            Near(1, heard[3 * Piece - 1], "the last");
            for (int i = 0; i < Fade; i++)
                Near(1 - (float)i / (Fade - 1), heard[3 * Piece + i], "falling " + i);
            Same(new float[Piece], heard, 3 * Piece + Fade, Piece - Fade, "silence");
            Expect.Same(1L, buffer.Stats.Underruns, "underruns");
            Push(buffer, 3, 1);
            Same(new float[Piece], Read(buffer, Piece), 0, Piece, "gathering again");
            Push(buffer, 4, 1);
            Push(buffer, 5, 1);
            Near(0.5f, Read(buffer, Piece)[Fade / 2], "rising again");
            Near(0.5f, Read(buffer, 3 * Piece)[2 * Piece + (Fade - 1) / 2], "falling again", 0.01f);
        }

        private static void WhatPilesUpIsLeftOutUnderAFade()
        {
            PcmBuffer buffer = Flowing();
            Read(buffer, Piece);
            for (int number = 3; number < 10; number++)
                Push(buffer, number, 1);
            Expect.Same(9 * Piece, buffer.Stats.Waiting, "waiting");
            float[] heard = Read(buffer, Piece);
            Expect.Same(9L * Piece - Depth, buffer.Stats.Skipped, "skipped");
            Expect.Same(Depth - Piece, buffer.Stats.Waiting, "left");
            // One falls while the other rises: together they stay as they are.
            for (int i = 0; i < Piece; i++)
                Expect.True(Math.Abs(heard[i] - 1) < 0.01, "level of frame " + i + ": " + heard[i]);
        }

        private static void EverySampleComesThroughInOrder()
        {
            const int Odd = 487; // of which no number fills a ring
            PcmBuffer buffer = new PcmBuffer(new PcmSpec(48000, Odd), 0.03);
            int pushed = 0;
            float[] sound = new float[2 * 333];
            for (int frame = 0; frame < 100000; frame += 333)
            {
                for (; pushed * Odd < frame + Depth + Odd; pushed++)
                    Push(buffer, pushed, pushed * Odd, 1, 1, Odd);
                buffer.Read(sound, 333, 2);
                for (int i = 0; i < 333 && frame > Fade; i++)
                {
                    Expect.Same((float)(frame + i), sound[2 * i], "left");
                    Expect.Same(-(float)(frame + i), sound[2 * i + 1], "right");
                }
            }
            Expect.Same(0L, buffer.Stats.Underruns + buffer.Stats.Skipped, "gaps");
        }

        private static void WhatNobodyReadsIsLostAndCounted()
        {
            PcmBuffer buffer = Made();
            int number = 0;
            while (buffer.Stats.Lost == 0)
                Push(buffer, number++, 1);
            int waiting = buffer.Stats.Waiting;
            Push(buffer, number, 1);
            Expect.Same(2L, buffer.Stats.Lost, "lost");
            Expect.Same(waiting, buffer.Stats.Waiting, "waiting");
        }

        private static void AMissingPieceIsCountedAndANewStreamIsNone()
        {
            PcmBuffer buffer = Made();
            Push(buffer, 0, 1);
            Push(buffer, 3, 1);
            Expect.Same(2L, buffer.Stats.Lost, "lost");
            Push(buffer, 0, 1);
            Push(buffer, 1, 1);
            Expect.Same(2L, buffer.Stats.Lost, "lost, after a new stream");
        }

        private static void OneChannelHasTheMiddleAndTheThirdNothing()
        {
            PcmBuffer buffer = Made();
            for (int number = 0; number < 4; number++)
                Push(buffer, number, 1, 0, 0.5f);
            float[] one = new float[Piece];
            buffer.Read(one, Piece, 1);
            Near(0.25f, one[Piece - 1], "the middle");
            float[] three = new float[3 * Piece];
            buffer.Read(three, Piece, 3);
            Near(1, three[3 * 7], "left");
            Near(-0.5f, three[3 * 7 + 1], "right");
            Near(0, three[3 * 7 + 2], "the third");
        }

        private static void PushingAndReadingAllocatesNothing()
        {
            PcmBuffer buffer = Made();
            byte[] bytes = new byte[Piece * PcmBuffer.FrameBytes];
            float[] sound = new float[4 * Piece];
            int number = 0;
            Action tick = () =>
            {
                for (int i = 0; i < 10; i++) // now there is too much, then too little
                    buffer.Push(number++, bytes, 0, bytes.Length);
                for (int i = 0; i < 6; i++)
                    buffer.Read(sound, 2 * Piece, 2);
            };
            Expect.Same(0L, Memory.PerCall(tick), "bytes");
            Expect.True(buffer.Stats.Skipped > 0 && buffer.Stats.Underruns > 0, "both happened");
        }

        private static PcmBuffer Made()
        {
            return new PcmBuffer(new PcmSpec(48000, Piece), 0.03);
        }

        /// <summary>One that is past its fade, with three pieces of 1 in it.</summary>
        private static PcmBuffer Flowing()
        {
            PcmBuffer buffer = Made();
            for (int number = 0; number < 4; number++)
                Push(buffer, number - 1, 1);
            Near(1, Read(buffer, Piece)[Fade], "flowing");
            return buffer;
        }

        private static void Push(PcmBuffer buffer, int number, float value)
        {
            Push(buffer, number, value, 0, 1);
        }

        /// <summary>Push a piece that begins at `value` and rises by `step`; the right is the left's
        /// opposite, times `right`.</summary>
        private static void Push(
            PcmBuffer buffer, int number, float value, float step, float right, int frames = Piece)
        {
            float[] samples = new float[2 * frames];
            for (int i = 0; i < frames; i++)
            {
                samples[2 * i] = value + i * step;
                samples[2 * i + 1] = -right * samples[2 * i];
            }
            byte[] bytes = new byte[samples.Length * sizeof(float) + 3];
            Buffer.BlockCopy(samples, 0, bytes, 3, bytes.Length - 3);
            buffer.Push(number, bytes, 3, bytes.Length - 3);
        }

        /// <summary>Read the left channel.</summary>
        private static float[] Read(PcmBuffer buffer, int frames)
        {
            float[] sound = new float[2 * frames];
            buffer.Read(sound, frames, 2);
            float[] left = new float[frames];
            for (int i = 0; i < frames; i++)
            {
                left[i] = sound[2 * i];
                Near(-left[i], sound[2 * i + 1], "right");
            }
            return left;
        }

        private static void Same(float[] wanted, float[] got, int at, int count, string what)
        {
            for (int i = 0; i < count; i++)
                Expect.Same(wanted[i], got[at + i], what);
        }

        private static void Near(float wanted, float got, string what, float within = Rounding)
        {
            Expect.True(Math.Abs(wanted - got) < within, what + ": " + wanted + ", got " + got);
        }
    }
}
