// What the player sees, small and a few times a second, on its way to the server.
#pragma once

#include "Components/SceneCaptureComponent2D.h"
#include "CoreMinimal.h"
#include "Engine/TimerHandle.h"

#include "DiegeticCaptureComponent.generated.h"

struct FDiegeticReadback;

/** Shows the server what it sees: put it on the player's camera. The HUD is not in the picture. */
UCLASS(ClassGroup = "Diegetic", meta = (BlueprintSpawnableComponent))
class DIEGETIC_API UDiegeticCaptureComponent : public USceneCaptureComponent2D
{
    GENERATED_BODY()

public:
    UDiegeticCaptureComponent(const FObjectInitializer& ObjectInitializer);

    UPROPERTY(EditAnywhere, Category = "Diegetic", meta = (ClampMin = 16, ClampMax = 1024))
    int32 Width = 128;

    UPROPERTY(EditAnywhere, Category = "Diegetic", meta = (ClampMin = 16, ClampMax = 1024))
    int32 Height = 72;

    /** Pictures a second; 10 to 15 is plenty. */
    UPROPERTY(EditAnywhere, Category = "Diegetic", meta = (ClampMin = 1, ClampMax = 60))
    float Rate = 12.0f;

protected:
    virtual void BeginPlay() override;
    virtual void EndPlay(const EEndPlayReason::Type Reason) override;

private:
    void Show();

    TSharedPtr<FDiegeticReadback> Readback;
    FTimerHandle Timer;
};
