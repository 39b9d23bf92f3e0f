using System;
using System.Collections.Generic;
using UnityEngine;

namespace Diegetic.Unity
{
    /// <summary>
    /// The game's connection to the sound server. Say what happens; nothing here waits, throws, or
    /// needs a server. Positions are Unity's own: they are turned to the server's right hand here.
    /// </summary>
    [AddComponentMenu("Diegetic/Diegetic Client")]
    [DefaultExecutionOrder(-100)]
    [DisallowMultipleComponent]
    public sealed class DiegeticClient : MonoBehaviour
    {
        private const int PieceFrames = 512;
        private const double LeastDepth = 0.03;

        [Tooltip("The server's address.")]
        public string Endpoint = "tcp://127.0.0.1:7776";

        [Tooltip("Have the sound come into the game, for a Diegetic Voice. Otherwise the server plays it.")]
        public bool PlayInGame = true;

        [Tooltip("Whose position the ears have; none is this object's.")]
        public Transform Ears;

        [Tooltip("What should be heard, to begin with; empty is silence.")]
        [TextArea]
        public string Prompt = "";

        public DiegeticSettings Declared = new DiegeticSettings();

        private int _rate;
        private Vector3 _position;
        private Quaternion _rotation;
        private bool _wasBankReady;

        /// <summary>A session has opened.</summary>
        public event Action<Welcome> Welcomed;

        /// <summary>These events have arrived.</summary>
        public event Action<Ack> Acknowledged;

        /// <summary>Something was not used, and why.</summary>
        public event Action<Error> Refused;

        /// <summary>How the server is doing, about once a second.</summary>
        public event Action<Status> Told;

        /// <summary>All sounds of declared events are there, also those that the switches now want: a
        /// loading screen may end.</summary>
        public event Action BankReady;

        /// <summary>The one that is used where none is named: the first that was enabled.</summary>
        public static DiegeticClient Main { get; private set; }

        /// <summary>The client below, for what is not offered here; null while this is disabled.</summary>
        public Client Core { get; private set; }

        /// <summary>The clock that an event's `at` is on.</summary>
        public static double Now
        {
            get { return Client.Now; }
        }

        public ClientStats Stats
        {
            get { return Core == null ? new ClientStats() : Core.Stats; }
        }

        /// <summary>Say what should be heard; "" is silence.</summary>
        public void SetPrompt(string text, double? guidance = null, double ramp = 0)
        {
            Prompt = text;
            if (Core != null)
                Core.SetPrompt(text, guidance, ramp);
        }

        /// <summary>Have up to three texts heard at the same time, by their weights.</summary>
        public void SetPrompt(
            IEnumerable<KeyValuePair<string, double>> texts, double? guidance = null, double ramp = 0)
        {
            if (Core != null)
                Core.SetPrompt(texts, guidance, ramp);
        }

        /// <summary>Have some of "ambience", "music" and "foley" heard; none is all.</summary>
        public void SetLayers(params string[] layers)
        {
            if (Core != null)
                Core.SetLayers(layers);
        }

        public void SetParameter(string name, float value, float ramp = 0)
        {
            if (Core != null)
                Core.SetParameter(name, value, ramp);
        }

        public void SetSwitch(string name, string value)
        {
            if (Core != null)
                Core.SetSwitch(name, value);
        }

        /// <summary>Have something heard once; returns its id, or -1 while this is disabled.</summary>
        /// <param name="name">Declared or not; an undeclared one takes its time to be made.</param>
        /// <param name="gainDb">On top of the gain that it was declared with.</param>
        /// <param name="position">In the world; null is everywhere.</param>
        /// <param name="occlusion">How much stands before it: 0 nothing, 1 a thick wall.</param>
        /// <param name="at">When, on <see cref="Now"/>'s clock; null is now.</param>
        /// <param name="bus">Through which it is heard; "" is the one that it was declared with.</param>
        public long PostEvent(
            string name, float gainDb = 0, Vector3? position = null, float occlusion = 0,
            double? at = null, string bus = "")
        {
            if (Core == null)
                return -1;
            Vec3? place = null;
            if (position != null)
                place = RightHanded(position.Value);
            return Core.PostEvent(name, gainDb, place, occlusion, at, bus);
        }

        /// <summary>Make a bus louder or quieter, (un)mute it, or both; null leaves a thing as it
        /// is.</summary>
        public void SetBus(string name, float? gainDb = null, bool? mute = null, float fade = 0)
        {
            if (Core != null)
                Core.SetBus(name, gainDb, mute, fade);
        }

        public void PushSnapshot(string name, float fade = 0)
        {
            if (Core != null)
                Core.PushSnapshot(name, fade);
        }

        public void PopSnapshot(string name, float fade = 0)
        {
            if (Core != null)
                Core.PopSnapshot(name, fade);
        }

        /// <summary>Steer the whole mix towards a loudness, -40 to -10 LUFS; null is as it
        /// comes.</summary>
        public void SetLoudness(float? lufs)
        {
            if (Core != null)
                Core.SetLoudness(lufs);
        }

        /// <summary>Return whom a component speaks to: the one that it names, or <see cref="Main"/>;
        /// null while there is none.</summary>
        internal static Client CoreOf(DiegeticClient named)
        {
            DiegeticClient client = named != null ? named : Main;
            return client == null ? null : client.Core;
        }

        private void OnEnable()
        {
            ClientOptions options = new ClientOptions
            {
                Endpoint = Endpoint,
                Engine = "Unity " + Application.unityVersion,
                Log = Warn,
            };
            _rate = AudioSettings.outputSampleRate;
            if (PlayInGame)
            {
                options.Pcm = new PcmSpec(_rate, PieceFrames);
                options.PcmDepth = Depth();
            }
            try
            {
                Declared.Declare(options);
                Core = OpenClients.Open(options);
            }
            catch (ArgumentException error)
            {
                Debug.LogError("Diegetic: " + error.Message, this);
                return;
            }
            if (Main == null)
                Main = this;
            AudioSettings.OnAudioConfigurationChanged += OnAudioConfigurationChanged;
            if (Prompt != "")
                Core.SetPrompt(Prompt);
            TellListener();
        }

        private void OnDisable()
        {
            AudioSettings.OnAudioConfigurationChanged -= OnAudioConfigurationChanged;
            if (Main == this)
                Main = null;
            if (Core != null)
                OpenClients.Close(Core);
            Core = null;
        }

        private void Update()
        {
            if (Core == null)
                return;
            for (Reply reply = Core.Poll(); reply != null && Core != null; reply = Core.Poll())
                Tell(reply);
            bool isReady = Stats.BankReady;
            if (isReady && !_wasBankReady && BankReady != null)
                BankReady();
            _wasBankReady = isReady;
        }

        private void LateUpdate()
        {
            Transform ears = Ears != null ? Ears : transform;
            if (Core != null && (ears.position != _position || ears.rotation != _rotation))
                TellListener();
        }

        private void TellListener()
        {
            Transform ears = Ears != null ? Ears : transform;
            _position = ears.position;
            _rotation = ears.rotation;
            Core.SetListener(
                RightHanded(_position), RightHanded(ears.forward), RightHanded(ears.up));
        }

        private void Tell(Reply reply)
        {
            Tell(Welcomed, reply as Welcome);
            Tell(Acknowledged, reply as Ack);
            Tell(Refused, reply as Error);
            Tell(Told, reply as Status);
        }

        private static void Tell<T>(Action<T> listeners, T reply)
            where T : Reply
        {
            if (listeners != null && reply != null)
                listeners(reply);
        }

        /// <summary>The output has another rate now: have the sound sent at that.</summary>
        private void OnAudioConfigurationChanged(bool deviceWasChanged)
        {
            if (Core == null || !PlayInGame || AudioSettings.outputSampleRate == _rate)
                return;
            _rate = AudioSettings.outputSampleRate;
            Core.SetPcm(new PcmSpec(_rate, PieceFrames), Depth());
        }

        /// <summary>Unity's mixer takes a whole buffer at once: gather more than one.</summary>
        private double Depth()
        {
            int frames;
            int count;
            AudioSettings.GetDSPBufferSize(out frames, out count);
            return Math.Max(LeastDepth, 1.5 * frames / _rate);
        }

        private static void Warn(string line)
        {
            Debug.LogWarning("Diegetic: " + line);
        }

        /// <summary>Unity's z is ahead, the server's is behind.</summary>
        private static Vec3 RightHanded(Vector3 place)
        {
            return new Vec3(place.x, place.y, -place.z);
        }
    }
}
