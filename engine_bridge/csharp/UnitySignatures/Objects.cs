// Signatures for compiling only: of the API of Unity 2021.3, as much as the package calls. With them
// a compiler finds typos in the part of the package that runs inside Unity. Nothing here does
// anything, and none of it ships.
using System;
using System.Collections;

namespace UnityEngine
{
    public class Object
    {
        public HideFlags hideFlags { get; set; }

        public static void Destroy(Object obj)
        {
        }

        public static bool operator ==(Object one, Object other)
        {
            return ReferenceEquals(one, other);
        }

        public static bool operator !=(Object one, Object other)
        {
            return !ReferenceEquals(one, other);
        }

        public override bool Equals(object other)
        {
            return base.Equals(other);
        }

        public override int GetHashCode()
        {
            return base.GetHashCode();
        }
    }

    public sealed class GameObject : Object
    {
        public GameObject(string name)
        {
        }

        public Transform transform { get; private set; }

        public static GameObject CreatePrimitive(PrimitiveType type)
        {
            return null;
        }

        public T AddComponent<T>()
            where T : Component
        {
            return null;
        }

        public void SetActive(bool value)
        {
        }
    }

    public class Component : Object
    {
        public GameObject gameObject { get; private set; }

        public Transform transform { get; private set; }

        public T GetComponent<T>()
        {
            throw new NotSupportedException();
        }
    }

    public class Behaviour : Component
    {
        public bool enabled { get; set; }
    }

    public class MonoBehaviour : Behaviour
    {
        public Coroutine StartCoroutine(IEnumerator routine)
        {
            return null;
        }

        public void StopAllCoroutines()
        {
        }
    }

    public sealed class Transform : Component
    {
        public Vector3 position { get; set; }

        public Quaternion rotation { get; set; }

        public Vector3 forward { get; set; }

        public Vector3 up { get; set; }

        public void SetParent(Transform p)
        {
        }

        public void SetParent(Transform parent, bool worldPositionStays)
        {
        }
    }

    public class YieldInstruction
    {
    }

    public sealed class Coroutine : YieldInstruction
    {
    }

    public sealed class WaitForEndOfFrame : YieldInstruction
    {
    }

    public sealed class WaitForSeconds : YieldInstruction
    {
        public WaitForSeconds(float seconds)
        {
        }
    }

    public class Texture : Object
    {
    }

    public sealed class RenderTexture : Texture
    {
        public RenderTexture(
            int width, int height, int depth, RenderTextureFormat format,
            RenderTextureReadWrite readWrite)
        {
        }

        public void Release()
        {
        }
    }

    public sealed class Camera : Behaviour
    {
        public RenderTexture targetTexture { get; set; }

        public Rect rect { get; set; }

        public int cullingMask { get; set; }

        public void CopyFrom(Camera other)
        {
        }
    }

    public sealed class Light : Behaviour
    {
        public LightType type { get; set; }
    }

    public sealed class AudioListener : Behaviour
    {
    }

    public sealed class AudioClip : Object
    {
    }

    public sealed class AudioSource : Behaviour
    {
        public AudioClip clip { get; set; }

        public float spatialBlend { get; set; }

        public void Play()
        {
        }

        public void Stop()
        {
        }
    }
}
