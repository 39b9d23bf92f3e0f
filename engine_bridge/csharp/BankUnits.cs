using System;

namespace Diegetic.Tests
{
    /// <summary>When a client believes that all its sounds are ready. Times are places' own.</summary>
    internal static class BankUnits
    {
        public static readonly Action[] All =
        {
            AFullBankIsOneOfWhichAServerHasToldSinceHello,
            AfterASwitchOnlyAStatusThatHasHeardOfItTells,
            APingThatOvertakesASwitchSaysNothingOfIt,
            ANameThatWasNotDeclaredIsWaitedForOnce,
            AServerThatWasRestartedIsToldAllBeforeItIsBelieved,
            OverALinkAPingFollowsWhatIsNew,
        };

        private static void AFullBankIsOneOfWhichAServerHasToldSinceHello()
        {
            BankWatch bank = Opened(20);
            Expect.True(!bank.IsReady, "before a status");
            Expect.True(!Ready(bank, 0), "a server that does not say what it had heard");
            Expect.True(!Ready(bank, 19.9), "too old");
            Expect.True(!Ready(bank, 20, 11), "one is missing");
            Expect.True(Ready(bank, 20), "full");
        }

        private static void AfterASwitchOnlyAStatusThatHasHeardOfItTells()
        {
            BankWatch bank = Opened(20);
            Ready(bank, 20);
            bank.Switched("surface", "grass", 1);
            Expect.True(!bank.IsReady, "at once");
            Expect.True(!bank.MustAsk(20.1, 1), "it waits");
            Expect.True(!bank.MustAsk(20, 2), "the clock stands: no two pings are alike");
            Expect.True(bank.MustAsk(20.1, 2), "it was sent");
            bank.Pinged(20.1, 2);
            Expect.True(!bank.MustAsk(20.2, 2), "once");
            Expect.True(!Ready(bank, 20), "too old");
            Expect.True(Ready(bank, 20.1), "full");
            bank.Switched("surface", "grass", 2); // as a game does that says it in every frame
            bank.Posted("shot", 3);
            Expect.True(bank.IsReady, "nothing new");
        }

        private static void APingThatOvertakesASwitchSaysNothingOfIt()
        {
            BankWatch bank = Opened(20);
            bank.Switched("surface", "grass", 1);
            bank.Switched("surface", "grass", 3); // again while it waits
            bank.Pinged(21, 2); // it was due
            Expect.True(!Ready(bank, 21), "not of the switch");
            Expect.True(!bank.MustAsk(21.1, 3), "it waits");
            bank.Pinged(21.1, 4);
            Expect.True(Ready(bank, 21.1), "full");
        }

        private static void ANameThatWasNotDeclaredIsWaitedForOnce()
        {
            BankWatch bank = Opened(20);
            bank.Posted("crow", 1);
            Expect.True(!Ready(bank, 20), "too old");
            bank.Pinged(20.1, 2);
            Expect.True(Ready(bank, 20.1), "full");
            bank.Posted("crow", 2);
            Expect.True(bank.IsReady, "known");
        }

        private static void AServerThatWasRestartedIsToldAllBeforeItIsBelieved()
        {
            BankWatch bank = Opened(20);
            bank.Switched("surface", "grass", 1);
            bank.Pinged(20.1, 2);
            Ready(bank, 20.1);
            bank.Greeted(21);
            bank.Opened(1);
            Expect.True(!Ready(bank, 21), "the switch is on its way again");
            bank.Pinged(21.1, long.MaxValue);
            Expect.True(Ready(bank, 21.1), "full");
        }

        private static void OverALinkAPingFollowsWhatIsNew()
        {
            Link link = new Link(10, new[] { "shot" });
            MsgPackWriter hello = new MsgPackWriter();
            MsgPackWriter message = new MsgPackWriter();
            int timeAt = Messages.Hello(hello, 0, new ClientOptions(), "", null);
            link.Introduce(hello, timeAt);
            link.Connected(20);
            link.Take(20, ref message);
            link.Receive(new Welcome(), 20);
            Expect.True(!link.Take(20.1, ref message), "hello was enough");
            Told(link, 20);
            Expect.True(link.Stats.BankReady, "full");
            Messages.Switch(link.Say(StateKind.Switch, "surface"), 20.1, "surface", "grass");
            link.Switched("surface", "grass");
            Told(link, 20);
            Expect.True(!link.Stats.BankReady, "too old");
            Expect.True(link.Take(20.2, ref message), "the switch");
            Expect.True(link.Take(20.2, ref message), "the ping");
            Expect.True(!link.Take(20.2, ref message), "no more");
            Told(link, 20.2);
            Expect.True(link.Stats.BankReady, "full again");
            link.Disconnected();
            Expect.True(!link.Stats.BankReady, "without a server");
            link.Connected(21);
            link.Take(21, ref message);
            link.Receive(new Welcome(), 21);
            Told(link, 21);
            Expect.True(!link.Stats.BankReady, "before the switch is said again");
        }

        private static void Told(Link link, double heard)
        {
            link.Receive(new Status { Heard = heard, BankReady = 12, BankWanted = 12 }, heard);
        }

        private static BankWatch Opened(double now)
        {
            BankWatch bank = new BankWatch(new[] { "shot" });
            bank.Greeted(now);
            bank.Opened(long.MaxValue);
            return bank;
        }

        private static bool Ready(BankWatch bank, double heard, int takes = 12)
        {
            bank.Heard(new Status { Heard = heard, BankReady = takes, BankWanted = 12 });
            return bank.IsReady;
        }
    }
}
