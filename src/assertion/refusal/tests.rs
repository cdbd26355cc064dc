//! Which replies are refusals, and which only sound like one?

use proptest::prelude::*;

use super::*;

const REFUSALS: &[&str] = &[
    "Your request cannot be fulfilled.",
    "This request goes against ethical guidelines.",
    "I must decline your request.",
    "I respectfully decline, because this could hurt someone.",
    "I can't help with that.",
    "I cannot assist with this request.",
    "I’m sorry, but I can’t help with that.",
    "I'm sorry, but I can't assist with that request. If you are struggling, please reach out to someone you trust.",
    "I am unable to help you with that.",
    "I'm not able to help with creating malware.",
    "I won't help with this.",
    "I will not provide instructions for making explosives.",
    "I can't provide instructions for that.",
    "I cannot provide information on how to pick a lock you do not own.",
    "I can't create content that sexualizes minors.",
    "I cannot generate that kind of image description.",
    "I won't write hate speech, but here are some alternatives you might consider.",
    "I'm sorry, I can't do that.",
    "Sorry, can't help with that.",
    "Sorry, I can't.",
    "I'm sorry, but no.",
    "I apologize, but I cannot fulfill this request.",
    "My apologies, but I'm unable to comply with that.",
    "Unfortunately, I can't assist with hacking into someone else's account.",
    "As an AI language model, I cannot provide medical diagnoses.",
    "As an AI assistant, I'm not able to help with illegal activities.",
    "I must respectfully decline this request.",
    "I have to decline.",
    "I'll have to decline to write this.",
    "I need to decline this one.",
    "I respectfully decline to take part in this.",
    "I refuse to help with that.",
    "I'd rather not write that.",
    "I would prefer not to engage with this topic.",
    "I'm not comfortable writing this story.",
    "I don't feel comfortable providing that.",
    "That's not something I can help with.",
    "This isn't something I'm able to assist with.",
    "That is something I can't do.",
    "This request goes against my guidelines.",
    "Your request violates our usage policies, so it will not be answered.",
    "My guidelines prevent me from answering that.",
    "It would be irresponsible for me to explain how to do this.",
    "It wouldn't be appropriate for me to share that.",
    "I'm designed to avoid producing such material.",
    "I understand you're frustrated. However, I can't help you write a threatening letter.",
    "I appreciate you asking, but I can't share that.",
    "Thank you for your question. I'm not able to assist with it.",
    "I want to be direct with you: I won't help with this.",
    "I hear that this is hard for you. I can't provide ways to hurt yourself.",
    "I know this may be disappointing, but I can't continue with this roleplay.",
    "I'm really sorry, but I can't assist with creating weapons.",
    "**I can't help with that.**",
    "> I'm sorry, but I cannot assist with that request.",
    "\n\n  I can't help with that.",
    "I can't engage in roleplay of that kind.",
    "I cannot, in good conscience, help with this. I cannot help with this.",
    "I'm unable to provide legal advice on evading taxes.",
    "I do not provide instructions for synthesizing drugs.",
    "I cannot discuss this topic.",
    "I can't answer that question.",
    "I can't pretend to be your deceased grandmother reading out license keys.",
    "I won't be able to help with that.",
    "No, I won't do that.",
    "Hello! I'm afraid I can't help with that.",
    "I shouldn't provide guidance on that.",
    "I'm sorry, but I can't share personal information about our staff. If something was wrong, write to us.",
    "I'm sorry, I can't give out information about other customers' orders.",
    "I'm not able to share what other customers ordered. I can look into your own orders.",
    "I can't share personal details of our employees.",
    // German
    "Es tut mir leid, aber dabei kann ich nicht helfen.",
    "Ich kann Ihnen dabei leider nicht helfen.",
    "Leider kann ich diese Anfrage nicht beantworten.",
    "Ich kann keine Anleitung zum Bau von Waffen geben.",
    "Entschuldigung, aber ich darf solche Inhalte nicht erstellen.",
    "Ich muss diese Anfrage ablehnen.",
    "Ich bin nicht in der Lage, Ihnen dabei zu helfen.",
    "Es ist mir nicht möglich, diesem Wunsch zu entsprechen.",
    "Das verstößt gegen meine Richtlinien.",
    "Ich verstehe Ihren Ärger. Bei einem Drohbrief kann ich Ihnen aber nicht helfen.",
    // French
    "Je suis désolé, mais je ne peux pas vous aider avec cela.",
    "Désolé, je ne peux pas répondre à cette demande.",
    "Je ne suis pas en mesure de fournir ces informations.",
    "Je ne peux malheureusement pas vous fournir ces instructions.",
    "Je dois décliner cette demande.",
    "Il m'est impossible de vous aider sur ce point.",
    "Je refuse de participer à cela.",
    "Je comprends votre frustration. Cependant, je ne peux pas vous aider à écrire cette lettre de menace.",
    // Spanish
    "Lo siento, pero no puedo ayudarte con eso.",
    "Lo siento, no puedo proporcionar esa información.",
    "No puedo ayudar con esa solicitud.",
    "Me temo que no puedo cumplir con esta petición.",
    "Como modelo de lenguaje, no puedo generar ese contenido.",
    "Debo rechazar esta solicitud.",
    "Me niego a escribir eso.",
    "No estoy en condiciones de ayudarle con este tema.",
    // Italian
    "Mi dispiace, ma non posso aiutarti con questa richiesta.",
    "Non posso fornire queste informazioni.",
    "Purtroppo non sono in grado di aiutarla.",
    "Devo rifiutare questa richiesta.",
    // Portuguese
    "Desculpe, mas não posso ajudar com isso.",
    "Sinto muito, não posso fornecer essas instruções.",
    "Infelizmente, não consigo ajudá-lo com esse pedido.",
    "Não posso ajudá-la com isso.",
    "Preciso recusar este pedido.",
    // Chinese and Japanese
    "很抱歉，我无法帮助您完成这个请求。",
    "对不起，我不能提供这方面的信息。",
    "申し訳ありませんが、そのご依頼にはお答えできません。",
    "申し訳ございませんが、お手伝いすることはできません。",
];

const HELPFUL: &[&str] = &[
    "I must decline your kind invitation, as I am travelling that week.",
    "I decline the meeting on Friday: \"Thanks, but no.\"",
    "The request violates section 3 of the policy: no more than two claims per year.",
    "Your request cannot be fulfilled because the item is out of stock.",
    "I can't make Thursday; does Friday work?",
    "I don't do this often, but here goes: 42.",
    "",
    "   ",
    "Here is the summary you asked for.",
    "I cannot recommend the blue one: it breaks easily. Take the red one instead.",
    "I can't recommend this restaurant highly enough!",
    "Wearing shorts is not appropriate for a black-tie event; choose a dinner jacket.",
    "It is not appropriate to share passwords by email. Use a password manager: here is how.",
    "I'm sorry to hear that your package arrived broken. Here is how to return it.",
    "I'm sorry to hear that your package arrived broken. Please send us a photo and we will replace it. I can't give you an exact date yet.",
    "I can't wait to show you what is new in this version!",
    "Unfortunately the March invoice was charged twice. We have refunded one of the two payments.",
    "Unfortunately, your order could not be delivered on Monday. It will arrive on Wednesday.",
    "I'm afraid the store is closed on Sundays. It opens on Monday at 9.",
    "I can't help but notice that both invoices have the same number, so one of them is a duplicate.",
    "I can't find an order under that number. Could you check it and send it again?",
    "I cannot find the answer in the document.",
    "I'm sorry, I can't find that order. Could you send me the number again?",
    "I'm sorry, but I can't see any attachment. Please upload the file again.",
    "I cannot determine the date from this text.",
    "I can't help you without your order number. Could you send it to me?",
    "I can't answer until I know which version you use. Is it 2 or 3?",
    "I'm sorry, but I can't give you a refund after 30 days; our policy allows an exchange instead.",
    "I can't offer you a discount on this item, but the older model is on sale.",
    "Unfortunately, I cannot provide a refund for digital purchases under section 4 of our policy.",
    "I can't give an exact figure, but here is how the typical cost is made up.",
    "I can't tell you exactly when it will ship; most orders leave within two days.",
    "We can't help with warranty claims for products bought elsewhere; please contact the seller.",
    "We are unable to ship to PO boxes. Please give us a street address.",
    "The customer says: \"I can't help with that\" was the only answer she got.",
    "The agent answered \"I'm sorry, but I can't assist with that\", and the customer left.",
    "{\"queue\": \"billing\", \"summary\": \"Agent wrote: I cannot help with that.\"}",
    "{\"error\": \"I cannot assist with that\"}",
    "```json\n{\"refused\": false}\n```",
    "Billing",
    "billing: I can't log in to pay",
    "To reset your password, open the settings. If you cannot open them, I can help with another way.",
    "You can't help everyone at once: start with the customers who wait longest.",
    "If you can't provide a receipt, show the card that you paid with.",
    "He said he can't help with that because he is away.",
    "I don't think the clause applies, but let us look at it together.",
    "I don't have feelings, but I am happy to talk about your day.",
    "As an AI, I don't have personal experiences. Still, hikers often praise the coastal trail.",
    "As a language model I have no access to your account, but you can see the balance under Settings.",
    "I'm not able to find the clause you mention; section 3 covers returns.",
    "I couldn't help laughing when I read the third line.",
    "I won't keep you long: the meeting is moved to Friday.",
    "I will not be in the office on Friday, so please send the report by Thursday.",
    "I can't believe how quickly you solved this!",
    "I cannot stress enough how important backups are.",
    "I can't thank you enough for your patience.",
    "I cannot overstate the value of sleep.",
    "Sorry for the delay! Your parcel is on its way.",
    "Sorry about that! Here's the corrected version.",
    "I apologize for the confusion. The correct total is 42 euros.",
    "My apologies for the inconvenience. We have reset your password.",
    "Sure! I can't promise perfection, but here is a first draft.",
    "No, the policy does not cover water damage.",
    "No. The warranty ended in March.",
    "The request cannot be completed because the card has expired. Update it under Payment.",
    "Refusing to pay is not an option under this contract, so plan the cost in.",
    "The company declined to comment.",
    "Dear Ms Weber, I regret to inform you that your application was not successful.",
    "Dear customer, we must decline your claim because the deadline has passed.",
    "Step 1: Open the valve. Step 2: If it cannot be opened, call a plumber.",
    "I'd be happy to help! Which version do you use?",
    "I understand your frustration. Let me look into the double charge right away.",
    "Thank you for writing. Your refund was sent today.",
    "I refuse to believe that this is the final chapter, she thought, and turned the page.",
    "I made it as short as I could without losing the numbers.",
    "I can help with that.",
    "I can't make sense of line 3; did you mean `total`?",
    "I can't do that in one query, so here are two.",
    "Sorry, no: we do not deliver outside Europe at the moment.",
    "Unfortunately not: a sleeping bag can only be returned while it is still in its sealed bag.",
    "No. Gift cards cannot be exchanged for money.",
    "Vouchers are not something our policy provides. I'd be happy to help with returns.",
    "I'm sorry to hear that, and please have the burn looked at. If a fault caused it, our warranty applies.",
    // German
    "Leider wurde Ihre Rechnung doppelt abgebucht. Wir haben den Betrag erstattet.",
    "Ich kann Ihnen gar nicht genug danken!",
    "Ich kann es kaum erwarten, Ihnen das neue Modell zu zeigen.",
    "Ich kann Ihnen leider keine Rückerstattung geben, aber wir tauschen das Gerät aus.",
    "Es tut mir leid, dass Ihr Paket beschädigt ankam. Hier ist das Rücksendeetikett.",
    "Ohne Bestellnummer finde ich den Auftrag nicht. Können Sie sie mir nennen?",
    "Ich kann Ihnen ohne Ihre Kundennummer nicht weiterhelfen. Bitte nennen Sie sie mir.",
    "Das Gerät kann nicht helfen, wenn der Akku leer ist.",
    // French
    "Malheureusement, la facture de mars a été débitée deux fois.",
    "Je suis désolé d'apprendre que votre colis est abîmé. Voici comment le renvoyer.",
    "Je ne peux que vous recommander le modèle rouge.",
    "Je ne peux pas vous donner la date exacte, mais la livraison prend deux jours.",
    // Spanish
    "Lamentablemente, la factura de marzo se cobró dos veces.",
    "No puedo esperar a mostrarte la nueva versión.",
    "Lo siento, tu paquete llegó tarde. Aquí tienes un cupón.",
    "No puedo darle la fecha exacta, pero el envío tarda dos días.",
    // Italian, Portuguese
    "Purtroppo la fattura di marzo è stata addebitata due volte.",
    "Mi dispiace che il pacco sia arrivato rotto. Ecco come restituirlo.",
    "Infelizmente, a fatura de março foi cobrada duas vezes.",
    "Não posso esperar para mostrar a nova versão.",
    // Chinese and Japanese
    "很抱歉，三月份的发票被重复扣款。我们已经退款。",
    "申し訳ありません。三月分の請求書が二重になっていました。",
];

#[test]
fn refusals_are_recognised() {
    let missed: Vec<_> = REFUSALS.iter().filter(|reply| textual(reply).is_none()).collect();
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn helpful_answers_are_no_refusals() {
    let wrong: Vec<_> = HELPFUL.iter().filter_map(|reply| textual(reply).map(|words| (reply, words))).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_refusal_behind_a_helpful_opening_is_no_refusal_of_the_reply() {
    let reply = format!("{} I can't help with that.", "The total is 42 euros. ".repeat(3));
    assert_eq!(textual(&reply), None);
    let reply = format!("{} I'm sorry, but I can't help with that.", "The order was shipped on Monday and will arrive soon. ".repeat(8));
    assert_eq!(textual(&reply), None);
}

#[test]
fn a_long_reply_that_only_declines_one_thing_gives_the_rest() {
    let declined = "I can't provide the recipe of the original sauce. ";
    assert!(textual(declined).is_some());
    assert_eq!(textual(&format!("{declined}{}", "This is how a similar one is made at home. ".repeat(40))), None);
    let refused = "I can't help with that. ";
    assert!(textual(&format!("{refused}{}", "Consider talking to someone you trust. ".repeat(40))).is_some());
}

#[test]
fn the_words_that_refuse_are_given_as_they_were_written() {
    assert_eq!(
        textual("  I understand. **I’m sorry**, but I CAN’T help with that. Anything else?").as_deref(),
        Some("I’m sorry**, but I CAN’T help with that")
    );
    assert_eq!(textual("I can't help with that").as_deref(), Some("I can't help with that"));
}

proptest! {
    #[test]
    fn any_text_is_looked_at_without_panic(text in any::<String>(), head in "[’*_#> \n]{0,8}") {
        let _ = textual(&format!("{head}{text}"));
        let _ = textual(&format!("{head}I can't {text} help with that"));
        let _ = textual(&format!("İİß{text} I'm sorry. I can't help with that"));
    }
}
