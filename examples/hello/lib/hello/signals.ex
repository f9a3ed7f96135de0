defmodule Hello.Signals do
  @moduledoc """
  Ends the service at SIGTERM as soon as its connections are closed. OTP's own
  handler would go on to wait a full second for its terminal.
  """
  @behaviour :gen_event

  @doc "Takes the place of OTP's handler of signals."
  def install do
    :gen_event.swap_handler(:erl_signal_server, {:erl_signal_handler, []}, {__MODULE__, []})
  end

  @impl true
  def init(_args), do: {:ok, []}

  @impl true
  def handle_event(:sigterm, state) do
    spawn(fn ->
      :ok = Application.stop(:hello)
      System.halt(0)
    end)

    {:ok, state}
  end

  def handle_event(signal, state), do: :erl_signal_handler.handle_event(signal, state)

  @impl true
  def handle_call(_request, state), do: {:ok, :ok, state}
end
