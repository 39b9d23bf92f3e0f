using System;
using System.Threading;
using Diegetic.Unity;

namespace Diegetic.Tests
{
    /// <summary>
    /// What Unity's editor does when scripts change: unload the domain in which they run. A thread
    /// that does not end makes it hang. Here mono unloads a domain in which a client is open.
    /// </summary>
    internal static class Reload
    {
        private static Client _client; // each domain has its own

        private static int Main()
        {
            using (Peer peer = new Peer())
            {
                AppDomain scripts = AppDomain.CreateDomain("scripts");
                scripts.SetData("endpoint", peer.Endpoint);
                scripts.DoCallBack(Open);
                peer.Welcome();
                scripts.DoCallBack(Play);
                Expect.True(peer.Next().Contains("rain"), "what was said");
                AppDomain.Unload(scripts); // throws if a thread lives on
                Expect.True(peer.Next().Contains("bye"), "bye");
                Expect.True(peer.IsAtEnd(), "the end");
            }
            Console.WriteLine("unloaded");
            return 0;
        }

        private static void Open()
        {
            string endpoint = (string)AppDomain.CurrentDomain.GetData("endpoint");
            _client = OpenClients.Open(new ClientOptions { Endpoint = endpoint });
        }

        private static void Play()
        {
            while (!_client.Stats.Welcomed)
                Thread.Yield();
            _client.SetPrompt("rain");
        }
    }
}
