using System;
using System.Collections;
using Unity.Collections;
using UnityEngine;
using UnityEngine.Rendering;

namespace Diegetic.Unity
{
    /// <summary>
    /// Shows the server what this camera sees: a twin of it draws a small picture a few times a
    /// second, which comes back from the GPU when it is ready. Works with every render pipeline; a
    /// canvas that overlays the screen is not in the picture.
    /// </summary>
    [AddComponentMenu("Diegetic/Diegetic Camera")]
    [RequireComponent(typeof(Camera))]
    [DisallowMultipleComponent]
    public sealed class DiegeticCamera : MonoBehaviour
    {
        private const int Width = 128;
        private const int Height = 72;
        private const int PixelBytes = 4;

        [Tooltip("None is the one that there is.")]
        public DiegeticClient Client;

        [Tooltip("Pictures per second.")]
        [Range(10, 15)]
        public float Rate = 12;

        [Tooltip("Layers that the server should not see: the HUD.")]
        public LayerMask Hidden;

        private readonly byte[] _pixels = new byte[Width * Height * PixelBytes];
        private readonly WaitForEndOfFrame _endOfFrame = new WaitForEndOfFrame();
        private Action<AsyncGPUReadbackRequest> _take;
        private Camera _camera;
        private Camera _twin;
        private RenderTexture _target;
        private bool _isOnItsWay;
        private float _due;

        private void Awake()
        {
            _take = Take;
        }

        private void OnEnable()
        {
            if (!SystemInfo.supportsAsyncGPUReadback)
            {
                Debug.LogWarning("Diegetic: no asynchronous read-back here; no pictures are sent.", this);
                enabled = false;
                return;
            }
            _camera = GetComponent<Camera>();
            _target = new RenderTexture(
                Width, Height, 24, RenderTextureFormat.ARGB32, RenderTextureReadWrite.sRGB);
            GameObject twin = new GameObject("Diegetic Camera's twin");
            twin.hideFlags = HideFlags.HideAndDontSave;
            twin.transform.SetParent(transform, false);
            _twin = twin.AddComponent<Camera>();
            _twin.enabled = false;
            StartCoroutine(Fetch());
        }

        private void OnDisable()
        {
            if (_twin == null)
                return;
            StopAllCoroutines();
            AsyncGPUReadback.WaitAllRequests(); // the texture must outlive them
            _twin.targetTexture = null;
            Destroy(_twin.gameObject);
            _target.Release();
            Destroy(_target);
            _twin = null;
            _isOnItsWay = false;
        }

        private void LateUpdate()
        {
            if (_isOnItsWay || Time.unscaledTime < _due || DiegeticClient.CoreOf(Client) == null)
                return;
            _due = Time.unscaledTime + 1 / Rate;
            _twin.CopyFrom(_camera);
            _twin.targetTexture = _target;
            _twin.rect = new Rect(0, 0, 1, 1);
            _twin.cullingMask &= ~Hidden.value;
            _twin.enabled = true;
        }

        /// <summary>Ask for the picture when the frame in which the twin was enabled is drawn.</summary>
        private IEnumerator Fetch()
        {
            while (true)
            {
                yield return _endOfFrame;
                if (!_twin.enabled)
                    continue;
                _twin.enabled = false;
                _isOnItsWay = true;
                AsyncGPUReadback.Request(_target, 0, TextureFormat.RGBA32, _take);
            }
        }

        private void Take(AsyncGPUReadbackRequest request)
        {
            _isOnItsWay = false;
            Client core = DiegeticClient.CoreOf(Client);
            if (request.hasError || core == null)
                return;
            NativeArray<byte> pixels = request.GetData<byte>();
            pixels.CopyTo(_pixels);
            // Unity draws into textures from the bottom on, with every graphics API.
            core.PushFrame(_pixels, Width, Height, PixelFormat.Rgba8, 0, Origin.Bottom);
        }
    }
}
