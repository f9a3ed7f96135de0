defmodule Shop.Account do
  @moduledoc "Accounts of this machine: names by stringprep, passwords by epam, a program that asks PAM."

  @doc "Says who logs in, or why nobody does."
  def login(name, password) do
    with name when is_binary(name) <- :stringprep.nodeprep(name),
         true <- :epam.authenticate("shop", name, password) do
      {:ok, name}
    else
      :error -> {:error, "no name"}
      {false, reason} -> {:error, reason}
    end
  end
end
