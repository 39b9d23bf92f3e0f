// Signatures for compiling only: of the API of Unity 2021.3, as much as the package calls. With them
// a compiler finds typos in the part of the package that runs inside Unity. Nothing here does
// anything, and none of it ships.
using System;

namespace UnityEngine
{
    public static class AudioSettings
    {
        public delegate void AudioConfigurationChangeHandler(bool deviceWasChanged);

        public static event AudioConfigurationChangeHandler OnAudioConfigurationChanged
        {
            add { }
            remove { }
        }

        public static int outputSampleRate { get; set; }

        public static void GetDSPBufferSize(out int bufferLength, out int numBuffers)
        {
            bufferLength = 0;
            numBuffers = 0;
        }
    }

    public static class Application
    {
        public static event Action quitting
        {
            add { }
            remove { }
        }

        public static string unityVersion
        {
            get { return ""; }
        }
    }

    public static class Debug
    {
        public static void LogWarning(object message)
        {
        }

        public static void LogWarning(object message, Object context)
        {
        }

        public static void LogError(object message, Object context)
        {
        }
    }

    public static class Mathf
    {
        public static float Cos(float f)
        {
            return 0;
        }

        public static float Max(float a, float b)
        {
            return 0;
        }

        public static float Sin(float f)
        {
            return 0;
        }
    }

    public static class Physics
    {
        public static bool Linecast(Vector3 start, Vector3 end, int layerMask)
        {
            return false;
        }
    }

    public static class SystemInfo
    {
        public static bool supportsAsyncGPUReadback
        {
            get { return false; }
        }
    }

    public static class Time
    {
        public static float unscaledTime
        {
            get { return 0; }
        }
    }
}

namespace UnityEngine.Rendering
{
    public struct AsyncGPUReadbackRequest
    {
        public bool hasError
        {
            get { return false; }
        }

        public Unity.Collections.NativeArray<T> GetData<T>(int layer = 0)
            where T : struct
        {
            return new Unity.Collections.NativeArray<T>();
        }
    }

    public static class AsyncGPUReadback
    {
        public static AsyncGPUReadbackRequest Request(
            Texture src, int mipIndex, TextureFormat dstFormat,
            Action<AsyncGPUReadbackRequest> callback = null)
        {
            return new AsyncGPUReadbackRequest();
        }

        public static void WaitAllRequests()
        {
        }
    }
}

namespace UnityEditor
{
    public enum PlayModeStateChange
    {
        ExitingPlayMode = 3,
    }

    public static class AssemblyReloadEvents
    {
        public delegate void AssemblyReloadCallback();

        public static event AssemblyReloadCallback beforeAssemblyReload
        {
            add { }
            remove { }
        }
    }

    public static class EditorApplication
    {
        public static event Action quitting
        {
            add { }
            remove { }
        }

        public static event Action<PlayModeStateChange> playModeStateChanged
        {
            add { }
            remove { }
        }
    }
}
