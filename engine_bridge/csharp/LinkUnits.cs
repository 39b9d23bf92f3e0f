using System;
using System.Collections.Generic;

namespace Diegetic.Tests
{
    /// <summary>The link, by a clock that is moved by hand. What is said here is plain text.</summary>
    internal static class LinkUnits
    {
        private const double Ttl = 10;

        public static readonly Action[] All =
        {
            AHelloIsSaidUntilItIsAnswered,
            OnlyTheNewestOfAStateIsSaidInThePlaceOfTheLastWord,
            AGainAndAMuteOfABusBothCount,
            EverythingKeptIsSaidAgainInOrderWhenASessionOpens,
            WhatIsSaidAnewWhileOthersWaitGoesToTheEnd,
            AnEventThatIsAcknowledgedIsNotSaidAgain,
            AnEventWithoutAServerIsGivenUpAfterItsTime,
            AnEventThatIsTooOldWhenASessionOpensIsNotSaid,
            TheOldestOfTooManyEventsIsGivenUpAndThatIsToldOnce,
            OnlyTheNewestFrameWaitsAndThreeBuffersAreEnough,
            AServerThatKnowsNoHelloIsToldAgain,
            APingGoesFirstOnceASecond,
            LeavingNeedsASession,
            SayingAndHearingTheSameThingsAgainAllocatesNothing,
        };

        private static void AHelloIsSaidUntilItIsAnswered()
        {
            Link link = Made();
            Expect.Same("", Said(link, 0), "without a server");
            link.Connected(1);
            Expect.Same("hello", Said(link, 1), "at once");
            Expect.Same("", Said(link, 2.9), "before 2 s");
            Expect.Same("hello", Said(link, 3), "after 2 s");
            link.Receive(new Welcome(), 3.1);
            Expect.Same("ping", Said(link, 5.1), "after the welcome");
            Expect.Same(0L, link.Stats.Reconnects, "reconnects");
        }

        private static void OnlyTheNewestOfAStateIsSaidInThePlaceOfTheLastWord()
        {
            Link link = Made();
            Say(link, StateKind.Parameter, "a", "a=1");
            Say(link, StateKind.Parameter, "b", "b=1");
            Say(link, StateKind.Switch, "a", "switch");
            Say(link, StateKind.Parameter, "a", "a=2");
            Open(link, 0);
            Expect.Same("b=1 switch a=2", Said(link, 0), "at first");
            Say(link, StateKind.Parameter, "b", "b=2");
            Say(link, StateKind.Parameter, "b", "b=3");
            Expect.Same("b=3", Said(link, 0), "then");
            Expect.Same("", Said(link, 0), "nothing twice");
        }

        private static void AGainAndAMuteOfABusBothCount()
        {
            Link link = Made();
            Say(link, StateKind.Gain, "voices", "gain");
            Say(link, StateKind.Mute, "voices", "mute");
            Open(link, 0);
            Expect.Same("gain mute", Said(link, 0), "both");
        }

        private static void EverythingKeptIsSaidAgainInOrderWhenASessionOpens()
        {
            Link link = Made();
            Open(link, 0);
            Say(link, StateKind.Prompt, "", "rain");
            Post(link, 1, 0);
            Say(link, StateKind.Parameter, "a", "a=1");
            Post(link, 2, 0);
            Expect.Same("rain event1 a=1 event2", Said(link, 0), "at first");
            Ack(link, 1);
            link.Disconnected();
            Say(link, StateKind.Prompt, "", "wind");
            Post(link, 3, 0);
            Expect.Same("", Said(link, 0.5), "without a server");
            Open(link, 1);
            Expect.Same("a=1 event2 wind event3", Said(link, 1), "again");
            Expect.Same(1L, link.Stats.Reconnects, "reconnects");
        }

        private static void WhatIsSaidAnewWhileOthersWaitGoesToTheEnd()
        {
            Link link = Made();
            Open(link, 0);
            Say(link, StateKind.Parameter, "a", "a=1");
            Say(link, StateKind.Parameter, "b", "b=1");
            Say(link, StateKind.Parameter, "c", "c=1");
            Expect.Same("a=1", SaidOnce(link, 0), "the first");
            Say(link, StateKind.Parameter, "b", "b=2"); // it would have been next
            Say(link, StateKind.Parameter, "a", "a=2");
            Expect.Same("c=1 b=2 a=2", Said(link, 0), "the others");
        }

        private static void AnEventThatIsAcknowledgedIsNotSaidAgain()
        {
            Link link = Made();
            Open(link, 0);
            Post(link, 1, 0);
            Post(link, 2, 0);
            Ack(link, 1, 1, 77); // said in an earlier session, and acknowledged late
            Expect.Same("event2", Said(link, 0), "the other");
            Expect.Same(1L, link.Stats.EventsAcked, "acknowledged");
            Expect.Same(1, link.Stats.EventsWaiting, "waiting");
        }

        private static void AnEventWithoutAServerIsGivenUpAfterItsTime()
        {
            Link link = Made();
            Post(link, 1, 0);
            Post(link, 2, 30); // half a minute ahead
            Said(link, Ttl);
            Expect.Same(0L, link.Stats.EventsGivenUp, "given up in time");
            Said(link, Ttl + 1);
            Expect.Same(1L, link.Stats.EventsGivenUp, "given up");
            Open(link, Ttl + 1);
            Expect.Same("event2", Said(link, Ttl + 1), "the one ahead");
        }

        private static void AnEventThatIsTooOldWhenASessionOpensIsNotSaid()
        {
            Link link = Made();
            Open(link, 0);
            Post(link, 1, 0);
            Said(link, Ttl + 1);
            Expect.Same(0L, link.Stats.EventsGivenUp, "given up while it may be on its way");
            link.Disconnected();
            Open(link, Ttl + 1.1);
            Expect.Same("", Said(link, Ttl + 1.1), "said");
            Expect.Same(1L, link.Stats.EventsGivenUp, "given up");
            link.Disconnected();
            Post(link, 2, 100);
            link.Connected(100 + Ttl);
            Expect.Same("hello", Said(link, 100 + Ttl), "just in time");
            link.Receive(new Welcome(), 100 + Ttl + 0.1);
            Expect.Same("", Said(link, 100 + Ttl + 0.1), "said after a slow answer");
        }

        private static void TheOldestOfTooManyEventsIsGivenUpAndThatIsToldOnce()
        {
            Link link = Made();
            Say(link, StateKind.Parameter, "a", "a");
            int told = 0;
            for (int id = 1; id <= Link.MaxEvents + 3; id++)
                told += Post(link, id, 0) ? 1 : 0;
            Expect.Same(1, told, "told");
            Expect.Same(3L, link.Stats.EventsGivenUp, "given up");
            Expect.Same(Link.MaxEvents, link.Stats.EventsWaiting, "waiting");
            Open(link, 0);
            Expect.Same("a", SaidOnce(link, 0), "the state");
            Expect.Same("event4", SaidOnce(link, 0), "the oldest that is left");
            for (int id = 4; id <= Link.MaxEvents / 2 + 4; id++)
                Ack(link, id);
            for (int id = 0; id < Link.MaxEvents; id++)
                told += Post(link, 100000 + id, 0) ? 1 : 0;
            Expect.Same(2, told, "told again");
        }

        private static void OnlyTheNewestFrameWaitsAndThreeBuffersAreEnough()
        {
            Link link = Made();
            Open(link, 0);
            HashSet<MsgPackWriter> buffers = new HashSet<MsgPackWriter>();
            MsgPackWriter free = new MsgPackWriter();
            MsgPackWriter message = new MsgPackWriter();
            for (int i = 0; i < 10; i++)
            {
                for (int k = 0; k < 3; k++)
                {
                    buffers.Add(free);
                    free.Clear().Text("frame" + i + k);
                    free = link.Show(free);
                }
                Expect.True(link.Take(0, ref message), "a frame");
                Expect.Same("frame" + i + 2, Shown(message), "the newest");
                Expect.True(!link.Take(0, ref message), "no other");
            }
            Expect.Same(3, buffers.Count, "buffers");
            Expect.Same(20L, link.Stats.FramesReplaced, "replaced");
            Expect.Same(10L, link.Stats.FramesSent, "sent");
        }

        private static void AServerThatKnowsNoHelloIsToldAgain()
        {
            Link link = Made();
            Open(link, 0);
            Say(link, StateKind.Prompt, "", "rain");
            Said(link, 0);
            link.Receive(new Error { Code = "no-hello", Field = "", Message = "" }, 0.5);
            Expect.Same("hello", Said(link, 0.5), "again");
            link.Receive(new Welcome(), 0.6);
            Expect.Same("rain", Said(link, 0.6), "what is kept");
            Expect.Same(1L, link.Stats.Errors, "errors");
        }

        private static void APingGoesFirstOnceASecond()
        {
            Link link = Made();
            Open(link, 0);
            Say(link, StateKind.Prompt, "", "rain");
            Expect.Same(1.0, link.Due(), "due");
            Expect.Same("ping rain", Said(link, 1), "at 1 s");
            Expect.Same("", Said(link, 1.9), "at 1.9 s");
            Expect.Same("ping", Said(link, 2), "at 2 s");
            link.Pong(2, 2.25);
            Expect.Same(0.25, link.Stats.RoundTrip.Value, "round trip");
        }

        private static void LeavingNeedsASession()
        {
            Link link = Made();
            MsgPackWriter message = new MsgPackWriter();
            link.Connected(0);
            Expect.True(!link.Leave(0, message), "not yet");
            link.Receive(new Welcome(), 0);
            Expect.True(link.Leave(0, message), "now");
            Expect.Same("bye", Shown(message), "what");
            Expect.Same("", Said(link, 5), "nothing after it");
        }

        private static void SayingAndHearingTheSameThingsAgainAllocatesNothing()
        {
            Link link = Made();
            Open(link, 0);
            Ack ack = new Ack { Events = new long[] { 1 } };
            MsgPackWriter frame = new MsgPackWriter();
            MsgPackWriter message = new MsgPackWriter();
            Action tick = () =>
            {
                bool tooMany;
                Messages.Parameter(link.Say(StateKind.Parameter, "a"), 0, "a", 0.5, 0);
                Messages.Event(link.Post(1, 0, out tooMany), 0, 1, "shot", -6, null, 0, "");
                frame = link.Show(frame);
                while (link.Take(0, ref message))
                {
                }
                link.Posted("shot");
                link.Receive(ack, 0);
            };
            Expect.Same(0L, Memory.PerCall(tick), "bytes");
        }

        private static Link Made()
        {
            Link link = new Link(Ttl, new[] { "shot" });
            MsgPackWriter hello = new MsgPackWriter();
            int timeAt = Messages.Hello(hello, 0, new ClientOptions(), "", null);
            link.Introduce(hello, timeAt);
            return link;
        }

        private static void Open(Link link, double now)
        {
            link.Connected(now);
            Expect.Same("hello", Said(link, now), "first");
            link.Receive(new Welcome(), now);
        }

        private static void Say(Link link, StateKind kind, string name, string text)
        {
            link.Say(kind, name).Text(text);
        }

        private static bool Post(Link link, long id, double time)
        {
            bool tooMany;
            link.Post(id, time, out tooMany).Text("event" + id);
            return tooMany;
        }

        private static void Ack(Link link, params long[] ids)
        {
            link.Receive(new Ack { Events = ids }, 0);
        }

        private static string Said(Link link, double now)
        {
            List<string> all = new List<string>();
            for (string one = SaidOnce(link, now); one != ""; one = SaidOnce(link, now))
                all.Add(one);
            return string.Join(" ", all);
        }

        private static string SaidOnce(Link link, double now)
        {
            MsgPackWriter message = new MsgPackWriter();
            return link.Take(now, ref message) ? Shown(message) : "";
        }

        /// <summary>The text that a message is; of one of the link's own its type.</summary>
        private static string Shown(MsgPackWriter message)
        {
            MsgPackReader from = new MsgPackReader(message.Bytes, 0, message.Length);
            if (message.Bytes[0] >= 0xa0)
                return from.ReadText();
            from.ReadMap();
            from.ReadText();
            return from.ReadText();
        }
    }
}
