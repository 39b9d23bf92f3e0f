#include "DiegeticSynthComponent.h"

#include "DiegeticClient.h"
#include "DiegeticSubsystem.h"
#include "Engine/GameInstance.h"
#include "Engine/World.h"

UDiegeticSynthComponent::UDiegeticSynthComponent(const FObjectInitializer& ObjectInitializer)
    : Super(ObjectInitializer)
{
    NumChannels = 2;
    bAutoActivate = true;
}

bool UDiegeticSynthComponent::Init(int32& SampleRate)
{
    NumChannels = 2;
    SampleRate = diegetic::PcmSpec().rate; // Unreal resamples it
    const UWorld* World = GetWorld();
    const UGameInstance* Game = World ? World->GetGameInstance() : nullptr;
    const UDiegeticSubsystem* Subsystem = Game ? Game->GetSubsystem<UDiegeticSubsystem>() : nullptr;
    Client = Subsystem ? Subsystem->GetClient() : nullptr;
    return true;
}

void UDiegeticSynthComponent::OnBeginGenerate()
{
    bIsReader = Client && !Client->bIsHeard.exchange(true);
}

int32 UDiegeticSynthComponent::OnGenerateAudio(float* OutAudio, int32 NumSamples)
{
    if (bIsReader)
    {
        Client->Client.read_pcm(OutAudio, static_cast<size_t>(NumSamples / 2));
    }
    else
    {
        FMemory::Memzero(OutAudio, NumSamples * sizeof(float));
    }
    return NumSamples;
}

void UDiegeticSynthComponent::OnEndGenerate()
{
    if (bIsReader)
    {
        Client->bIsHeard = false;
        bIsReader = false;
    }
}
