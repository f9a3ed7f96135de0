defprotocol Stock.Summary do
  @moduledoc "One line about something. Each application says it of what it has."

  @doc "The line."
  def line(thing)
end

defimpl Stock.Summary, for: Money do
  def line(amount), do: "#{amount} EUR"
end
