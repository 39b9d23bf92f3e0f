using System;
using System.Threading;

namespace Diegetic
{
    /// <summary>How the sound gets here; a frame is a sample of each channel.</summary>
    public struct PcmStats
    {
        /// <summary>Frames that can be read.</summary>
        public int Waiting { get; internal set; }

        /// <summary>Pieces that never came, or for which there was no room.</summary>
        public long Lost { get; internal set; }

        /// <summary>Times that there was not enough to read.</summary>
        public long Underruns { get; internal set; }

        /// <summary>Frames left out because too many were waiting.</summary>
        public long Skipped { get; internal set; }
    }

    /// <summary>
    /// The sound on its way into an engine that plays it itself: a jitter buffer.
    ///
    ///     network thread --Push--> |=== depth ===| --Read--> the engine's audio thread
    ///
    /// Pieces come at the pace of the server's clock and are read at the pace of the engine's device.
    /// What comes too late leaves a gap; what piles up, as the clocks drift apart, is left out. Both
    /// are faded and counted.
    ///
    /// Threads: one pushes, one reads. They share a ring and no lock: neither ever waits for the
    /// other, and neither allocates. Stats may be asked for from anywhere.
    /// </summary>
    internal sealed class PcmBuffer
    {
        public const int FrameBytes = 2 * sizeof(float);

        private const double FadeSeconds = 0.004;

        private readonly float[] _ring; // left, right
        private readonly int _mask;
        private readonly int _depth;
        private readonly int _most;
        private readonly int _fade;

        private int _written; // frames ever pushed, read; they may wrap, their difference is right
        private int _read;
        private long _expected; // from here on of the thread that pushes
        private long _lost;

        private readonly float[] _tail; // what fades out, from here on of the thread that reads
        private int _tailAt;
        private int _tailEnd;
        private bool _flowing;
        private int _risen; // frames since the sound began: it fades in
        private float _lastLeft;
        private float _lastRight;
        private long _underruns;
        private long _skipped;

        /// <param name="spec">What the engine asked for.</param>
        /// <param name="depth">Seconds that are gathered before the first is read, and again when
        /// there was not enough.</param>
        public PcmBuffer(PcmSpec spec, double depth)
        {
            _fade = (int)Math.Round(FadeSeconds * spec.Rate);
            _depth = Math.Max(Math.Max(spec.Frames, _fade), (int)Math.Round(depth * spec.Rate));
            _most = 2 * (_depth + spec.Frames);
            int size = 1;
            while (size < 2 * (_most + spec.Frames))
                size *= 2;
            _mask = size - 1;
            _ring = new float[2 * size];
            _tail = new float[2 * _fade];
        }

        public PcmStats Stats
        {
            get
            {
                return new PcmStats
                {
                    Waiting = Volatile.Read(ref _written) - Volatile.Read(ref _read),
                    Lost = Volatile.Read(ref _lost),
                    Underruns = Volatile.Read(ref _underruns),
                    Skipped = Volatile.Read(ref _skipped),
                };
            }
        }

        /// <summary>Take in what the server sent: float32, little-endian, as every platform here has
        /// it. A number that is too low begins another stream.</summary>
        public void Push(long number, byte[] data, int at, int count)
        {
            long missing = Math.Max(0, number - _expected);
            _expected = number + 1;
            int frames = count / FrameBytes;
            int from = _written;
            int room = _mask + 1 - (from - Volatile.Read(ref _read));
            if (frames > room)
                missing++; // nobody reads
            Volatile.Write(ref _lost, _lost + missing);
            if (frames > room)
                return;
            int first = Math.Min(frames, _mask + 1 - (from & _mask));
            Buffer.BlockCopy(data, at, _ring, (from & _mask) * FrameBytes, first * FrameBytes);
            Buffer.BlockCopy(
                data, at + first * FrameBytes, _ring, 0, (frames - first) * FrameBytes);
            Volatile.Write(ref _written, from + frames);
        }

        /// <summary>
        /// Write the next frames into `into`, from its beginning; silence while there is nothing to
        /// hear. Of more channels than two the others are silent; one has the middle.
        /// </summary>
        public void Read(float[] into, int frames, int channels)
        {
            int at = _read;
            int waiting = Volatile.Read(ref _written) - at;
            if (!_flowing && waiting >= _depth)
            {
                _flowing = true;
                _risen = 0;
            }
            if (_flowing && waiting > _most)
            {
                float level = Math.Min(1f, (float)_risen / _fade);
                LetGo(at, level);
                Volatile.Write(ref _skipped, _skipped + waiting - _depth);
                at += waiting - _depth;
                waiting = _depth;
                _risen = 0;
            }
            Array.Clear(into, 0, frames * channels);
            for (int i = 0; i < frames; i++)
            {
                float left = 0;
                float right = 0;
                if (_flowing && waiting == 0)
                {
                    Volatile.Write(ref _underruns, _underruns + 1);
                    _flowing = false;
                    HoldAndLetGo();
                }
                if (_flowing)
                {
                    float gain = Math.Min(1f, (float)_risen / _fade);
                    left = gain * _ring[2 * (at & _mask)];
                    right = gain * _ring[2 * (at & _mask) + 1];
                    _lastLeft = left;
                    _lastRight = right;
                    _risen = Math.Min(_risen + 1, _fade);
                    at++;
                    waiting--;
                }
                if (_tailAt < _tailEnd)
                {
                    left += _tail[2 * _tailAt];
                    right += _tail[2 * _tailAt + 1];
                    _tailAt++;
                }
                if (channels == 1)
                {
                    into[i] = 0.5f * (left + right);
                }
                else
                {
                    into[i * channels] = left;
                    into[i * channels + 1] = right;
                }
            }
            Volatile.Write(ref _read, at);
        }

        /// <summary>Have the frames from `at` on fade out, instead of ending.</summary>
        private void LetGo(int at, float level)
        {
            Renew();
            for (int i = 0; i < _fade; i++)
                Fall(i, level * _ring[2 * (at + i & _mask)], level * _ring[2 * (at + i & _mask) + 1]);
        }

        /// <summary>There is nothing to fade out: stay at the last frame, and fade that.</summary>
        private void HoldAndLetGo()
        {
            Renew();
            for (int i = 0; i < _fade; i++)
                Fall(i, _lastLeft, _lastRight);
        }

        private void Fall(int i, float left, float right)
        {
            float gain = 1 - (float)i / (_fade - 1);
            _tail[2 * i] += gain * left;
            _tail[2 * i + 1] += gain * right;
        }

        /// <summary>Move what still fades out to the front, with silence behind it.</summary>
        private void Renew()
        {
            int rest = 2 * (_tailEnd - _tailAt);
            Array.Copy(_tail, 2 * _tailAt, _tail, 0, rest);
            Array.Clear(_tail, rest, _tail.Length - rest);
            _tailAt = 0;
            _tailEnd = _fade;
        }
    }
}
