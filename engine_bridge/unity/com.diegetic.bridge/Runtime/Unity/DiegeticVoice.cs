using UnityEngine;

namespace Diegetic.Unity
{
    /// <summary>
    /// Plays the server's sound through Unity's own mixer. It comes at the rate of Unity's output, in
    /// stereo that is placed already, so the source should stay flat (spatial blend 0).
    /// </summary>
    [AddComponentMenu("Diegetic/Diegetic Voice")]
    [RequireComponent(typeof(AudioSource))]
    [DisallowMultipleComponent]
    public sealed class DiegeticVoice : MonoBehaviour
    {
        [Tooltip("None is the one that there is.")]
        public DiegeticClient Client;

        private volatile Client _core; // read by the audio thread

        private void OnEnable()
        {
            AudioSource source = GetComponent<AudioSource>();
            source.clip = null; // what OnAudioFilterRead makes is all that it plays
            source.spatialBlend = 0;
            source.Play();
        }

        private void OnDisable()
        {
            _core = null;
            GetComponent<AudioSource>().Stop();
        }

        private void Update()
        {
            DiegeticClient client = Client != null ? Client : DiegeticClient.Main;
            _core = client != null && client.PlayInGame ? client.Core : null;
        }

        /// <summary>On Unity's audio thread: from a ring without a lock, without waiting.</summary>
        private void OnAudioFilterRead(float[] data, int channels)
        {
            Client core = _core;
            if (core != null)
                core.ReadPcm(data, data.Length / channels, channels);
        }
    }
}
