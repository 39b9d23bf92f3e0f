#include "DiegeticSubsystem.h"

#include "Camera/PlayerCameraManager.h"
#include "DiegeticClient.h"
#include "Engine/GameInstance.h"
#include "GameFramework/PlayerController.h"

DEFINE_LOG_CATEGORY_STATIC(LogDiegetic, Log, All);

namespace
{
diegetic::Settings MakeSettings(const UDiegeticSettings& From)
{
    diegetic::Settings To;
    To.endpoint = DiegeticText(From.Endpoint);
    To.engine = "unreal";
    for (const FDiegeticParameter& One : From.Parameters)
    {
        To.parameters.push_back({DiegeticText(One.Name), One.Minimum, One.Maximum, One.Default});
    }
    for (const FDiegeticSwitch& One : From.Switches)
    {
        diegetic::SwitchSpec Spec{DiegeticText(One.Name)};
        for (const FString& Value : One.Values)
        {
            Spec.values.push_back(DiegeticText(Value));
        }
        To.switches.push_back(Spec);
    }
    for (const FDiegeticEvent& One : From.Events)
    {
        To.events.push_back({DiegeticText(One.Name), DiegeticText(One.Text), One.Variations, One.Length,
                             One.GainDb, DiegeticText(One.Bus)});
    }
    for (const FDiegeticBus& One : From.Buses)
    {
        To.buses.push_back({DiegeticText(One.Name), DiegeticText(One.Parent)});
    }
    for (const FDiegeticSnapshot& One : From.Snapshots)
    {
        diegetic::SnapshotSpec Spec{DiegeticText(One.Name)};
        for (const TPair<FString, float>& Gain : One.GainsDb)
        {
            Spec.gains_db.emplace_back(DiegeticText(Gain.Key), Gain.Value);
        }
        To.snapshots.push_back(Spec);
    }
    if (From.bSoundIntoEngine)
    {
        To.pcm = diegetic::PcmSpec{};
        To.pcm_depth = 0.06; // Unreal asks for 1024 frames at once, and two of these must fit
    }
    To.log = [](const std::string& Line)
    { UE_LOG(LogDiegetic, Warning, TEXT("%s"), UTF8_TO_TCHAR(Line.c_str())); };
    return To;
}

std::optional<double> MakeGuidance(float Guidance)
{
    return Guidance == 0.0f ? std::nullopt : std::optional<double>(Guidance);
}
} // namespace

void UDiegeticSubsystem::Initialize(FSubsystemCollectionBase& Collection)
{
    Super::Initialize(Collection);
    Client = MakeShared<FDiegeticClient>(MakeSettings(*GetDefault<UDiegeticSettings>()));
    Ticker = FTSTicker::GetCoreTicker().AddTicker(
        FTickerDelegate::CreateUObject(this, &UDiegeticSubsystem::Tick));
}

void UDiegeticSubsystem::Deinitialize()
{
    FTSTicker::GetCoreTicker().RemoveTicker(Ticker);
    Client->Client.close();
    Client.Reset();
    Super::Deinitialize();
}

bool UDiegeticSubsystem::Tick(float DeltaTime)
{
    for (const diegetic::Reply& Reply : Client->Client.poll())
    {
        if (const auto* Error = std::get_if<diegetic::Error>(&Reply))
        {
            OnError.Broadcast(UTF8_TO_TCHAR(Error->field.c_str()), UTF8_TO_TCHAR(Error->message.c_str()));
        }
    }
    const bool bIsReady = Client->Client.bank_ready();
    if (bIsReady && !bBankWasReady)
    {
        OnBankReady.Broadcast();
    }
    bBankWasReady = bIsReady;
    const APlayerController* Player = GetGameInstance()->GetFirstLocalPlayerController();
    if (GetDefault<UDiegeticSettings>()->bListenAtCamera && Player && Player->PlayerCameraManager)
    {
        SetListener(Player->PlayerCameraManager->GetCameraLocation(),
                    Player->PlayerCameraManager->GetCameraRotation());
    }
    return true;
}

void UDiegeticSubsystem::SetPrompt(const FString& Text, float Guidance, float Ramp)
{
    Client->Client.set_prompt(DiegeticText(Text), MakeGuidance(Guidance), Ramp);
}

void UDiegeticSubsystem::SetBlendedPrompt(const TMap<FString, float>& Weights, float Guidance, float Ramp)
{
    diegetic::Weights Texts;
    for (const TPair<FString, float>& Weight : Weights)
    {
        Texts.emplace_back(DiegeticText(Weight.Key), Weight.Value);
    }
    Client->Client.set_prompt(Texts, MakeGuidance(Guidance), Ramp);
}

void UDiegeticSubsystem::SetLayers(const TArray<EDiegeticLayer>& Layers)
{
    std::vector<diegetic::Layer> To;
    for (const EDiegeticLayer Layer : Layers)
    {
        To.push_back(static_cast<diegetic::Layer>(Layer)); // the same order
    }
    Client->Client.set_layers(To);
}

void UDiegeticSubsystem::SetParameter(const FString& Name, float Value, float Ramp)
{
    Client->Client.set_parameter(DiegeticText(Name), Value, Ramp);
}

void UDiegeticSubsystem::SetSwitch(const FString& Name, const FString& Value)
{
    Client->Client.set_switch(DiegeticText(Name), DiegeticText(Value));
}

int64 UDiegeticSubsystem::PostEvent(const FString& Name, float GainDb)
{
    diegetic::EventOptions How;
    How.gain_db = GainDb;
    return static_cast<int64>(Client->Client.post_event(DiegeticText(Name), How));
}

int64 UDiegeticSubsystem::PostEventAt(const FString& Name, FVector Location, float GainDb, float Occlusion)
{
    diegetic::EventOptions How;
    How.gain_db = GainDb;
    How.position = DiegeticPosition(Location);
    How.occlusion = Occlusion;
    return static_cast<int64>(Client->Client.post_event(DiegeticText(Name), How));
}

void UDiegeticSubsystem::SetBusGain(const FString& Name, float GainDb, float Fade)
{
    Client->Client.set_bus(DiegeticText(Name), GainDb, std::nullopt, Fade);
}

void UDiegeticSubsystem::SetBusMute(const FString& Name, bool bMute, float Fade)
{
    Client->Client.set_bus(DiegeticText(Name), std::nullopt, bMute, Fade);
}

void UDiegeticSubsystem::PushSnapshot(const FString& Name, float Fade)
{
    Client->Client.push_snapshot(DiegeticText(Name), Fade);
}

void UDiegeticSubsystem::PopSnapshot(const FString& Name, float Fade)
{
    Client->Client.pop_snapshot(DiegeticText(Name), Fade);
}

void UDiegeticSubsystem::SetLoudness(float Lufs)
{
    Client->Client.set_loudness(Lufs == 0.0f ? std::nullopt : std::optional<double>(Lufs));
}

void UDiegeticSubsystem::SetListener(FVector Location, FRotator Rotation)
{
    const FRotationMatrix Axes(Rotation);
    Client->Client.set_listener(DiegeticPosition(Location), DiegeticDirection(Axes.GetUnitAxis(EAxis::X)),
                                DiegeticDirection(Axes.GetUnitAxis(EAxis::Z)));
}

bool UDiegeticSubsystem::IsBankReady() const
{
    return Client && Client->Client.bank_ready();
}

bool UDiegeticSubsystem::IsConnected() const
{
    return Client && Client->Client.stats().welcomed;
}
