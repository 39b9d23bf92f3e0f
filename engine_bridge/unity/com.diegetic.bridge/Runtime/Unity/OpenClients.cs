using System;
using System.Collections.Generic;
using UnityEngine;

namespace Diegetic.Unity
{
    /// <summary>
    /// Knows the clients that are open and closes them whenever what they are part of ends: the game,
    /// Play mode, the scripts' domain. Components close theirs before that; this is for those that
    /// never get to it, since a thread that outlives its domain hangs the editor.
    /// </summary>
    internal static class OpenClients
    {
        private static readonly List<Client> All = new List<Client>();

        static OpenClients()
        {
            Application.quitting += CloseAll;
            AppDomain.CurrentDomain.DomainUnload += (sender, about) => CloseAll();
#if UNITY_EDITOR
            UnityEditor.AssemblyReloadEvents.beforeAssemblyReload += CloseAll;
            UnityEditor.EditorApplication.quitting += CloseAll;
            UnityEditor.EditorApplication.playModeStateChanged += change =>
            {
                if (change == UnityEditor.PlayModeStateChange.ExitingPlayMode)
                    CloseAll();
            };
#endif
        }

        public static Client Open(ClientOptions options)
        {
            Client client = new Client(options);
            lock (All)
                All.Add(client);
            return client;
        }

        public static void Close(Client client)
        {
            client.Close();
            lock (All)
                All.Remove(client);
        }

        private static void CloseAll()
        {
            lock (All)
            {
                foreach (Client client in All)
                    client.Close();
                All.Clear();
            }
        }
    }
}
