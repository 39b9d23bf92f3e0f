// Signatures for compiling only: of the API of Unity 2021.3, as much as the package calls. With them
// a compiler finds typos in the part of the package that runs inside Unity. Nothing here does
// anything, and none of it ships.
namespace Unity.Collections
{
    public struct NativeArray<T>
        where T : struct
    {
        public void CopyTo(T[] array)
        {
        }
    }
}

namespace UnityEngine
{
    public enum HideFlags
    {
        HideAndDontSave = 61,
    }

    public enum LightType
    {
        Directional = 1,
    }

    public enum PrimitiveType
    {
        Sphere = 0,
        Plane = 4,
    }

    public enum RenderTextureFormat
    {
        ARGB32 = 0,
    }

    public enum RenderTextureReadWrite
    {
        sRGB = 2,
    }

    public enum TextureFormat
    {
        RGBA32 = 4,
    }

    public struct Vector3
    {
        public float x;
        public float y;
        public float z;

        public Vector3(float x, float y, float z)
        {
            this.x = x;
            this.y = y;
            this.z = z;
        }

        public static bool operator ==(Vector3 one, Vector3 other)
        {
            return one.Equals(other);
        }

        public static bool operator !=(Vector3 one, Vector3 other)
        {
            return !one.Equals(other);
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

    public struct Quaternion
    {
        public static Quaternion Euler(float x, float y, float z)
        {
            return new Quaternion();
        }

        public static bool operator ==(Quaternion one, Quaternion other)
        {
            return one.Equals(other);
        }

        public static bool operator !=(Quaternion one, Quaternion other)
        {
            return !one.Equals(other);
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

    public struct Rect
    {
        public Rect(float x, float y, float width, float height)
        {
        }
    }

    public struct LayerMask
    {
        public int value { get; set; }

        public static implicit operator int(LayerMask mask)
        {
            return mask.value;
        }

        public static implicit operator LayerMask(int mask)
        {
            return new LayerMask { value = mask };
        }
    }
}
