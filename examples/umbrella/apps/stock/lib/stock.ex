defmodule Stock do
  @moduledoc "What is in stock."

  @doc "The items, in the order in which they were put."
  def items, do: Agent.get(__MODULE__, &Enum.reverse/1)

  @doc "Puts an item into stock."
  def put(%Stock.Item{} = item), do: Agent.update(__MODULE__, &[item | &1])

  @doc "What all items are worth."
  def worth, do: items() |> Enum.map(&Stock.Item.worth/1) |> Money.sum()
end
