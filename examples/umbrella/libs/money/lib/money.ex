defmodule Money do
  @moduledoc "Amounts of euro, in cents."

  defstruct cents: 0

  @doc "An amount."
  def new(cents) when is_integer(cents), do: %__MODULE__{cents: cents}

  @doc "The amount, so many times."
  def times(%__MODULE__{cents: cents}, count), do: new(cents * count)

  @doc "The sum of amounts."
  def sum(amounts), do: amounts |> Enum.map(& &1.cents) |> Enum.sum() |> new()

  defimpl String.Chars do
    def to_string(%Money{cents: cents}) do
      euro = Integer.to_string(div(cents, 100))
      rest = cents |> rem(100) |> Integer.to_string() |> String.pad_leading(2, "0")
      euro <> "." <> rest
    end
  end
end
