#include "DiegeticCaptureComponent.h"

#include "DiegeticClient.h"
#include "DiegeticSubsystem.h"
#include "Engine/GameInstance.h"
#include "Engine/TextureRenderTarget2D.h"
#include "Engine/World.h"
#include "RHIGPUReadback.h"
#include "RenderingThread.h"
#include "TextureResource.h"
#include "TimerManager.h"

/** One picture on its way from the graphics card; touched by the render thread only. */
struct FDiegeticReadback
{
    FRHIGPUTextureReadback Copy{TEXT("Diegetic")};
    bool bPending = false;

    /** Send the picture that was asked for last time, if it has come, and ask for the next. */
    void Turn(FRHICommandListImmediate& Commands, FRHITexture* Texture, diegetic::Client& Client, int32 Width,
              int32 Height)
    {
        if (bPending && !Copy.IsReady())
        {
            return; // the card is busy: this one is left out
        }
        if (bPending)
        {
            Send(Client, Width, Height);
        }
        Commands.Transition(FRHITransitionInfo(Texture, ERHIAccess::Unknown, ERHIAccess::CopySrc));
        Copy.EnqueueCopy(Commands, Texture);
        Commands.Transition(FRHITransitionInfo(Texture, ERHIAccess::CopySrc, ERHIAccess::SRVMask));
        bPending = true;
    }

private:
    void Send(diegetic::Client& Client, int32 Width, int32 Height)
    {
        int32 Pitch = 0; // pixels from row to row: the card may pad them
        const void* Pixels = Copy.Lock(Pitch);
        if (Pixels && Pitch >= Width)
        {
            diegetic::Frame Frame;
            Frame.width = Width;
            Frame.height = Height;
            Frame.pixels = static_cast<const uint8*>(Pixels);
            Frame.size = 4 * (static_cast<size_t>(Pitch) * (Height - 1) + Width);
            Frame.format = diegetic::PixelFormat::bgra8;
            Frame.stride = 4 * Pitch;
            Client.push_frame(Frame);
        }
        Copy.Unlock();
    }
};

UDiegeticCaptureComponent::UDiegeticCaptureComponent(const FObjectInitializer& ObjectInitializer)
    : Super(ObjectInitializer)
{
    bCaptureEveryFrame = false;
    bCaptureOnMovement = false;
    bAlwaysPersistRenderingState = true;
    CaptureSource = ESceneCaptureSource::SCS_FinalColorLDR;
}

void UDiegeticCaptureComponent::BeginPlay()
{
    Super::BeginPlay();
    TextureTarget = NewObject<UTextureRenderTarget2D>(this);
    TextureTarget->InitCustomFormat(Width, Height, PF_B8G8R8A8, false);
    Readback = MakeShared<FDiegeticReadback>();
    GetWorld()->GetTimerManager().SetTimer(Timer, this, &UDiegeticCaptureComponent::Show, 1.0f / Rate, true);
}

void UDiegeticCaptureComponent::EndPlay(const EEndPlayReason::Type Reason)
{
    GetWorld()->GetTimerManager().ClearTimer(Timer);
    ENQUEUE_RENDER_COMMAND(DiegeticReadbackEnds)
    ([Gone = MoveTemp(Readback)](FRHICommandListImmediate&) {});
    Super::EndPlay(Reason);
}

void UDiegeticCaptureComponent::Show()
{
    const UGameInstance* Game = GetWorld()->GetGameInstance();
    const UDiegeticSubsystem* Subsystem = Game ? Game->GetSubsystem<UDiegeticSubsystem>() : nullptr;
    FTextureRenderTargetResource* Target = TextureTarget->GameThread_GetRenderTargetResource();
    if (!Subsystem || !Target)
    {
        return;
    }
    CaptureSceneDeferred();
    ENQUEUE_RENDER_COMMAND(DiegeticFrame)
    ([State = Readback, Client = Subsystem->GetClient(), Target, Wide = Width,
      High = Height](FRHICommandListImmediate& Commands)
     { State->Turn(Commands, Target->GetRenderTargetTexture(), Client->Client, Wide, High); });
}
