using UnityEngine;

namespace Diegetic.Unity
{
    /// <summary>Posts events from where this object is. For UnityEvents, animation events and
    /// scripts.</summary>
    [AddComponentMenu("Diegetic/Diegetic Emitter")]
    public sealed class DiegeticEmitter : MonoBehaviour
    {
        [Tooltip("None is the one that there is.")]
        public DiegeticClient Client;

        [Tooltip("What Post without a name posts.")]
        public string Event = "";

        [Range(-96, 24)]
        public float GainDb;

        [Tooltip("Through which it is heard; empty is the one that it was declared with.")]
        public string Bus = "";

        [Tooltip("How much stands before it, whatever is there: 0 nothing, 1 a thick wall.")]
        [Range(0, 1)]
        public float Occlusion;

        [Tooltip("Layers of which one that is between this and the ears occludes.")]
        public LayerMask Walls;

        [Tooltip("How much a wall occludes.")]
        [Range(0, 1)]
        public float WallOcclusion = 0.7f;

        public void Post()
        {
            Post(Event);
        }

        public void Post(string name)
        {
            DiegeticClient client = Client != null ? Client : DiegeticClient.Main;
            if (client != null)
                client.PostEvent(name, GainDb, transform.position, Occluded(client), null, Bus);
        }

        private float Occluded(DiegeticClient client)
        {
            Transform ears = client.Ears != null ? client.Ears : client.transform;
            bool isBehind = Physics.Linecast(transform.position, ears.position, Walls);
            return isBehind ? Mathf.Max(Occlusion, WallOcclusion) : Occlusion;
        }
    }
}
