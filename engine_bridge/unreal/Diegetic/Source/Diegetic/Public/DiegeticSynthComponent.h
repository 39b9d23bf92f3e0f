// The sound of the server, played by Unreal.
#pragma once

#include "Components/SynthComponent.h"
#include "CoreMinimal.h"

#include "DiegeticSynthComponent.generated.h"

class FDiegeticClient;

/**
 * Plays the mix in Unreal: set "Sound Into Engine" in the settings, put one of these on an actor of the
 * level and have it start. One at a time is heard.
 */
UCLASS(ClassGroup = "Diegetic", meta = (BlueprintSpawnableComponent))
class DIEGETIC_API UDiegeticSynthComponent : public USynthComponent
{
    GENERATED_BODY()

public:
    UDiegeticSynthComponent(const FObjectInitializer& ObjectInitializer);

protected:
    virtual bool Init(int32& SampleRate) override;
    virtual void OnBeginGenerate() override;
    virtual int32 OnGenerateAudio(float* OutAudio, int32 NumSamples) override;
    virtual void OnEndGenerate() override;

private:
    TSharedPtr<FDiegeticClient> Client;
    bool bIsReader = false; // the audio thread's
};
