using System;
using System.Threading;

namespace Diegetic.Tests
{
    /// <summary>The client against a peer that does what servers do on bad days.</summary>
    internal static class SocketUnits
    {
        public static readonly Action[] All =
        {
            APingIsAnsweredWithItsContext,
            AfterAHangUpTheSameClientComesAgainAndSaysItsStates,
            ClosingSaysByeAndHangsUp,
            ClosingDoesNotWaitForAServerThatReadsNothing,
            AServerThatSpeaksSomethingElseIsTriedAgain,
            AServerThatFallsSilentIsTriedAgain,
            AServerIsFoundByTheNameOfItsHost,
            ANewRateOpensANewSession,
        };

        private static void APingIsAnsweredWithItsContext()
        {
            using (Peer peer = new Peer())
            using (Client client = new Client(To(peer)))
            {
                peer.Accept();
                Expect.True(peer.Next().Contains("hello"), "hello");
                peer.Send(Peer.Frame(4, "\u0004PING\0\u0019context"));
                Expect.Same("\u0004PONGcontext", peer.Next(), "pong");
            }
        }

        private static void AfterAHangUpTheSameClientComesAgainAndSaysItsStates()
        {
            using (Peer peer = new Peer())
            using (Client client = new Client(To(peer)))
            {
                client.SetPrompt("rain");
                peer.Welcome();
                Expect.True(peer.Next().Contains("rain"), "the prompt");
                string identity = peer.Identity;
                peer.Hang();
                peer.Welcome();
                Expect.Same(identity, peer.Identity, "identity");
                Expect.True(peer.Next().Contains("rain"), "the prompt again");
                client.PostEvent("shot");
                Expect.True(peer.Next().Contains("shot"), "what is new");
                Expect.Same(1L, client.Stats.Reconnects, "reconnects");
                peer.Hang();
                Until(() => !client.Stats.Welcomed, "the client to see that it is alone");
            }
        }

        private static void ClosingSaysByeAndHangsUp()
        {
            using (Peer peer = new Peer())
            {
                Client client = new Client(To(peer));
                peer.Welcome();
                Until(() => client.Poll() is Welcome, "the welcome");
                client.SetPrompt("the last word");
                client.Close();
                Expect.True(peer.Next().Contains("the last word"), "what was said before");
                Expect.True(peer.Next().Contains("bye"), "bye");
                Expect.True(peer.IsAtEnd(), "the end");
            }
        }

        private static void ClosingDoesNotWaitForAServerThatReadsNothing()
        {
            using (Peer peer = new Peer())
            {
                Client client = new Client(To(peer));
                peer.Welcome();
                byte[] pixels = new byte[1000 * 1000];
                while (client.Stats.FramesReplaced == 0 || client.Stats.FramesSent == 0)
                    client.PushFrame(pixels, 1000, 1000, PixelFormat.Gray8);
                client.Close();
                Expect.True(!peer.Rest().EndsWith("bye\u00a4time"), "nothing is said after it");
            }
        }

        private static void AServerThatSpeaksSomethingElseIsTriedAgain()
        {
            using (Peer peer = new Peer())
            using (Client client = new Client(To(peer)))
            {
                peer.Accept();
                peer.Send(Peer.Frame(1, "a message of more parts than one"));
                peer.Welcome(); // the client hung up
                Expect.Same(0L, client.Stats.Reconnects, "sessions before");
            }
        }

        private static void AServerThatFallsSilentIsTriedAgain()
        {
            using (Peer peer = new Peer())
            using (Client client = new Client(To(peer)))
            {
                peer.Welcome();
                peer.Welcome(); // the first connection is still there
            }
        }

        private static void AServerIsFoundByTheNameOfItsHost()
        {
            using (Peer peer = new Peer())
            {
                ClientOptions options = To(peer);
                options.Endpoint = options.Endpoint.Replace("127.0.0.1", "localhost");
                using (new Client(options))
                    peer.Welcome();
            }
        }

        private static void ANewRateOpensANewSession()
        {
            using (Peer peer = new Peer())
            using (Client client = new Client(To(peer)))
            {
                client.SetPrompt("rain");
                string hello = peer.Welcome();
                Expect.True(hello.EndsWith("pcm\u0080"), "48 kHz");
                Expect.True(peer.Next().Contains("rain"), "the prompt");
                client.SetPcm(new PcmSpec(44100));
                string other = peer.Welcome();
                Expect.True(other.EndsWith("rate\u00cd\u00ac\u0044"), "44.1 kHz");
                int at = hello.IndexOf("instance") + 10;
                Expect.True(hello.Substring(at, 32) != other.Substring(at, 32), "another instance");
                Expect.True(peer.Next().Contains("rain"), "the prompt again");
            }
        }

        private static void Until(Func<bool> condition, string what)
        {
            for (double deadline = Client.Now + Peer.Patience; !condition(); Thread.Yield())
                Expect.True(Client.Now < deadline, what);
        }

        private static ClientOptions To(Peer peer)
        {
            return new ClientOptions { Endpoint = peer.Endpoint, Pcm = new PcmSpec() };
        }
    }
}
