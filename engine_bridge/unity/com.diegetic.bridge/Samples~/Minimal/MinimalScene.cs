using System.Collections;
using Diegetic.Unity;
using UnityEngine;

/// <summary>
/// A scene from nothing: put this on an empty object of an empty scene, start the sound server
/// (`diegetic serve`), press Play. A ball walks around the camera; it rains more and less.
/// </summary>
public sealed class MinimalScene : MonoBehaviour
{
    private const float StepSeconds = 0.55f;
    private const float Radius = 4;

    private DiegeticClient _client;
    private DiegeticEmitter _feet;

    private void Awake()
    {
        GameObject floor = GameObject.CreatePrimitive(PrimitiveType.Plane);
        floor.transform.position = new Vector3(0, -1.6f, 0);
        GameObject sun = new GameObject("Sun");
        sun.AddComponent<Light>().type = LightType.Directional;
        sun.transform.rotation = Quaternion.Euler(50, -30, 0);

        // Inactive until all is set: a client speaks as soon as it is enabled.
        GameObject head = new GameObject("Head");
        head.SetActive(false);
        head.AddComponent<Camera>();
        head.AddComponent<AudioListener>();
        _client = head.AddComponent<DiegeticClient>();
        _client.Prompt = "light rain on leaves, distant thunder";
        _client.Declared.Parameters.Add(new DiegeticSettings.Parameter { Name = "storm" });
        _client.Declared.Switches.Add(new DiegeticSettings.Switch
        {
            Name = "surface",
            Values = { "grass", "stone" },
        });
        _client.Declared.Events.Add(new DiegeticSettings.Event
        {
            Name = "footstep",
            Text = "footstep on {surface}",
            Length = 0.6f,
        });
        head.AddComponent<DiegeticCamera>();
        GameObject voice = new GameObject("Voice");
        voice.transform.SetParent(head.transform);
        voice.AddComponent<DiegeticVoice>();
        head.SetActive(true);

        GameObject walker = GameObject.CreatePrimitive(PrimitiveType.Sphere);
        _feet = walker.AddComponent<DiegeticEmitter>();
        _feet.Event = "footstep";
    }

    private IEnumerator Start()
    {
        for (int step = 0; ; step++)
        {
            float angle = 0.2f * step;
            _feet.transform.position =
                new Vector3(Radius * Mathf.Sin(angle), -1, Radius * Mathf.Cos(angle));
            if (step % 16 == 0)
                _client.SetSwitch("surface", step % 32 == 0 ? "grass" : "stone");
            _client.SetParameter("storm", 0.5f + 0.5f * Mathf.Sin(0.05f * step), StepSeconds);
            _feet.Post();
            yield return new WaitForSeconds(StepSeconds);
        }
    }
}
