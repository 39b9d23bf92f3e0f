using System;
using System.Collections.Generic;

namespace Diegetic
{
    /// <summary>
    /// Keeps replies until the game polls; logs an error once for each thing that can be wrong.
    ///
    /// Threads: any; the log is called without a lock.
    /// </summary>
    internal sealed class Inbox
    {
        private const int MaxReplies = 256; // not yet polled; older ones are forgotten
        private const int MaxWarnings = 64;

        private readonly Queue<Reply> _replies = new Queue<Reply>();
        private readonly HashSet<string> _warned = new HashSet<string>();
        private readonly Action<string> _log;

        public Inbox(Action<string> log)
        {
            _log = log;
        }

        public void Put(Reply reply)
        {
            Error error = reply as Error;
            bool isNews;
            lock (_replies)
            {
                if (_replies.Count == MaxReplies)
                    _replies.Dequeue();
                _replies.Enqueue(reply);
                isNews = error != null && _warned.Count < MaxWarnings
                    && _warned.Add(error.Code + " " + error.Field);
            }
            if (isNews)
                _log(error.ToString());
        }

        /// <summary>Return the oldest reply that is here, or null.</summary>
        public Reply Take()
        {
            lock (_replies)
                return _replies.Count > 0 ? _replies.Dequeue() : null;
        }
    }
}
