// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// A token (ERC-20) that is also had for ether and given back for it, so that calls move both.
contract Token {
    string public name;
    string public constant symbol = "PTC";
    uint8 public constant decimals = 18;
    uint256 public totalSupply;
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    error InsufficientBalance(address owner, uint256 balance, uint256 needed);

    constructor(string memory name_, uint256 supply) {
        name = name_;
        mint(msg.sender, supply);
    }

    receive() external payable {
        deposit();
    }

    /// A token for each wei.
    function deposit() public payable {
        mint(msg.sender, msg.value);
    }

    function withdraw(uint256 value) external {
        move(msg.sender, address(0), value);
        totalSupply -= value;
        (bool sent,) = msg.sender.call{value: value}("");
        require(sent, "ether was not taken");
    }

    function transfer(address to, uint256 value) external returns (bool) {
        move(msg.sender, to, value);
        return true;
    }

    function approve(address spender, uint256 value) external returns (bool) {
        allowance[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
        return true;
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        uint256 allowed = allowance[from][msg.sender];
        require(allowed >= value, "allowance is too small");
        allowance[from][msg.sender] = allowed - value;
        move(from, to, value);
        return true;
    }

    function mint(address to, uint256 value) private {
        totalSupply += value;
        balanceOf[to] += value;
        emit Transfer(address(0), to, value);
    }

    function move(address from, address to, uint256 value) private {
        uint256 balance = balanceOf[from];
        if (balance < value) revert InsufficientBalance(from, balance, value);
        balanceOf[from] = balance - value;
        if (to != address(0)) balanceOf[to] += value;
        emit Transfer(from, to, value);
    }
}

/// Makes tokens, and one call for many: an account may take its code as its own (EIP-7702).
contract Workshop {
    struct Step {
        address to;
        uint256 value;
        bytes data;
    }

    event Made(address indexed token, string name);

    receive() external payable {}

    /// A new token, all of it the sender's; and one attempt that fails and leaves nothing behind but its trace.
    function make(string calldata name, uint256 supply) external returns (Token token) {
        token = new Token(name, supply);
        token.transfer(msg.sender, supply);
        try token.transfer(msg.sender, 1) {
            revert("it had none left");
        } catch {}
        emit Made(address(token), name);
    }

    function run(Step[] calldata steps) external payable {
        for (uint256 i = 0; i < steps.length; i++) {
            (bool done,) = steps[i].to.call{value: steps[i].value}(steps[i].data);
            require(done, "a step failed");
        }
    }
}
